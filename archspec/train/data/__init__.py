"""Data for training: sets, what is held out of them, and batches that are a function of the step."""

from archspec.train.data.batches import Batch, Batches, whole
from archspec.train.data.checking import Bad, Checked, check
from archspec.train.data.multi_crop import COUNTS, PrepareViews, Views
from archspec.train.data.opening import Data, divided, open_data, open_parts, refuse_within
from archspec.train.data.packing import pack
from archspec.train.data.prepare import Prepare
from archspec.train.data.source import Sample, Source

__all__ = [
    "COUNTS", "Bad", "Batch", "Batches", "Checked", "Data", "Prepare", "PrepareViews", "Sample", "Source", "Views",
    "check", "divided", "open_data", "open_parts", "pack", "refuse_within", "whole",
]  # fmt: skip
