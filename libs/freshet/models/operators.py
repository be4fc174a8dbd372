"""The ONNX operators that a graph may use: what classifiers and regressors on rows of numbers are made of.

Left out on purpose: control flow (its cost cannot be bounded before it runs), random numbers (an answer must be
repeatable), NonZero and Compress (how much they give follows from values), sequences, maps, optionals, text and images
(a row of floats needs none), and training operators.
"""

from collections.abc import Mapping
from typing import Final

_ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu
    Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish
    Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish
    Tan Tanh ThresholdedRelu Where Xor
"""
_ACROSS = """
    ArgMax ArgMin BatchNormalization CumSum Hardmax LayerNormalization LogSoftmax LpNormalization RMSNormalization
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    Softmax TopK
"""
_SHAPES = """
    Concat Constant ConstantOfShape Expand EyeLike Flatten Gather GatherElements GatherND OneHot Pad
    Range Reshape ScatterElements ScatterND Shape Size Slice Split Squeeze Tile Transpose Trilu Unsqueeze
"""
_LAYERS = """
    AveragePool Conv DequantizeLinear DynamicQuantizeLinear Einsum GRU Gemm GlobalAveragePool GlobalMaxPool LSTM MatMul
    MatMulInteger MaxPool QLinearMatMul QuantizeLinear RNN
"""
_CLASSICAL = """
    ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer
    OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor
"""

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(f"{_ELEMENTWISE} {_ACROSS} {_SHAPES} {_LAYERS}".split()),
    "ai.onnx.ml": frozenset(_CLASSICAL.split()),
}
"""Allowed operators by domain; the default domain is the empty name."""
