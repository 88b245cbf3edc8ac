"""As much of aioble's interface as an application of the tests uses; aioble itself is not of this project.

It fails where aioble fails: a central that connects while nobody awaits advertise() raises in the handler.
"""

from .core import stop as stop
from .peripheral import advertise as advertise
from .server import BufferedCharacteristic as BufferedCharacteristic
from .server import Characteristic as Characteristic
from .server import Service as Service
from .server import register_services as register_services
