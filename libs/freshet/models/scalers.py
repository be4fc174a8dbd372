"""scikit-learn's scalers as ONNX nodes that give the same bits: trees behind them branch at the last one.

The published converter multiplies by reciprocals, and computes in float32 what scikit-learn computes in float64.
"""

from typing import Any, Final

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

Step = tuple[str, Any, bool]
"""An operator, its constants, and whether it is computed in float64 and then rounded."""

_SCALERS: Final = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)


def teach_skl2onnx() -> None:
    """Let skl2onnx write scalers so. Twice is once."""
    for scaler in _SCALERS:
        update_registered_converter(scaler, f"Freshet{scaler.__name__}", _shapes, _write)


def _shapes(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType(operator.inputs[0].type.shape)


def _steps(scaler: Any) -> list[Step]:
    """What `transform` does to float32, in its order."""
    if isinstance(scaler, StandardScaler):  # scikit-learn rounds its constants first
        return [("Sub", scaler.mean_, False)] * scaler.with_mean + [("Div", scaler.scale_, False)] * scaler.with_std
    if isinstance(scaler, MinMaxScaler):
        return [("Mul", scaler.scale_, True), ("Add", scaler.min_, True)]
    if isinstance(scaler, MaxAbsScaler):
        return [("Div", scaler.scale_, True)]
    steps = [("Sub", scaler.center_, True)] * scaler.with_centering
    return steps + [("Div", scaler.scale_, True)] * scaler.with_scaling


def _write(scope: Any, operator: Any, container: Any) -> None:
    scaler, rows = operator.raw_operator, operator.inputs[0].full_name

    def node(kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name: str = out or scope.get_unique_variable_name("scaled")
        version = container.target_opset_any_domain("")
        unique = scope.get_unique_operator_name(kind)
        container.add_node(kind, list(inputs), [name], op_domain="", op_version=version, name=unique, **attributes)
        return name

    def constant(values: Any, kind: int) -> str:
        name: str = scope.get_unique_variable_name("scaler")
        container.add_initializer(name, kind, list(np.shape(values)), np.ravel(values).tolist())
        return name

    for kind, constants, exact in _steps(scaler):
        if exact:
            wide = node("Cast", rows, to=TensorProto.DOUBLE)
            wide = node(kind, wide, constant(constants, TensorProto.DOUBLE))
            rows = node("Cast", wide, to=TensorProto.FLOAT)
        else:
            rows = node(kind, rows, constant(np.asarray(constants, np.float32), TensorProto.FLOAT))
    if getattr(scaler, "clip", False):
        low, high = getattr(scaler, "feature_range", (-1, 1))
        rows = node("Clip", rows, *(constant(np.float32(limit), TensorProto.FLOAT) for limit in (low, high)))
    node("Identity", rows, out=operator.outputs[0].full_name)
