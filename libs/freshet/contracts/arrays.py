"""Names for the array types that columns are made of."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Ints32 = NDArray[np.int32]
Ints = NDArray[np.int64]
Floats32 = NDArray[np.float32]
Floats = NDArray[np.float64]
