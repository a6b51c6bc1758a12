"""Data for training: data sets, their validation split, and batches as a function of the step."""

from archspec.train.data.batches import Batch, Batches, evaluation_batches
from archspec.train.data.checking import BadSample, DataReport, check_data
from archspec.train.data.multi_crop import CROP_COUNTS, CropCount, MultiCropTransform
from archspec.train.data.opening import (
    SplitData,
    check_not_inside,
    open_data,
    open_dataset,
    split_dataset,
)
from archspec.train.data.packing import pack
from archspec.train.data.prepare import InputTransform
from archspec.train.data.source import DataSource, Sample

__all__ = [
    "CROP_COUNTS", "BadSample", "Batch", "Batches", "CropCount", "DataReport", "DataSource",
    "InputTransform", "MultiCropTransform", "Sample", "SplitData", "check_data",
    "check_not_inside", "evaluation_batches", "open_data", "open_dataset", "pack", "split_dataset",
]  # fmt: skip
