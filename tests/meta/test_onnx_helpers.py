"""The assertions on emitted ONNX models, fed models that are wrong."""

from __future__ import annotations

import pytest
from onnx import ModelProto, TensorProto, checker, helper, shape_inference

from tests.helpers.specs import checked
from tests.unit.onnx.built import accepted, model_of

SPEC = checked(
    "archspec: 1\ninput: [4, 6]\nnetwork: [{name: a, relu: }, {name: b, conv: {out: 2, kernel: 3}}, {name: c, tanh: }]\n"
)


def damaged(change: str) -> ModelProto:
    model = model_of(SPEC)
    if change == "operator":
        model.graph.node[0].op_type = "Rely"
    elif change == "shape":
        model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 9
    elif change == "batch":
        model.graph.value_info[0].type.tensor_type.shape.dim[0].dim_value = 1
    elif change == "axis":
        model.graph.value_info[0].type.tensor_type.shape.dim[1].dim_param = "C"
    else:
        del model.graph.value_info[:]
    return model


def test_a_sound_model_is_accepted() -> None:
    accepted(model_of(SPEC))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("operator", checker.ValidationError),
        ("shape", shape_inference.InferenceError),
        ("batch", AssertionError),
        ("axis", AssertionError),
        ("nothing known", KeyError),
    ],
)
def test_an_unsound_model_is_told(change: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        accepted(damaged(change))


def test_the_values_of_the_helper_are_float_batches() -> None:
    info = model_of(SPEC).graph.output[0]
    assert info == helper.make_tensor_value_info("main", TensorProto.FLOAT, ["N", 2, 4])
