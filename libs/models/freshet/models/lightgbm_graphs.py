"""LightGBM's models as ONNX graphs. Imported only where LightGBM is loaded already."""

from typing import Any, Final, cast

from lightgbm import LGBMClassifier, LGBMRegressor
from onnx import ModelProto
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as write_trees
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

_OPSET: Final = 15  # the newest that onnxmltools knows
_CLASSIFIER_OPTIONS: Final = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}


def booster_graph(booster: Any, input_name: str, width: int) -> ModelProto:
    """The graph of a native booster."""
    given = [(input_name, FloatTensorType([None, width]))]
    return cast(ModelProto, convert_lightgbm(booster, initial_types=given, zipmap=False, target_opset=_OPSET))


def teach_skl2onnx() -> None:
    """Let skl2onnx write LightGBM's estimators, also as a step of a Pipeline. Twice is once."""
    update_registered_converter(
        LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        write_trees,
        options=_CLASSIFIER_OPTIONS,
    )
    update_registered_converter(
        LGBMRegressor, "LightGbmLGBMRegressor", calculate_linear_regressor_output_shapes, write_trees
    )
