"""One model is built at a time."""

from __future__ import annotations

import threading

# transformers and accelerate build models by switching things of the whole process: the default dtype, how parameters are registered,
# whether weights are initialized. Two threads that build at once get each other's settings.
BUILDING = threading.Lock()
