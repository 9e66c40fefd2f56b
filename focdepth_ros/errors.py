"""One class of error per way of failing.

Every message says what was wrong, shows the value, and says what to do about it, so that
the command line can print it as one line and a node can log it as it is.
"""

_SHOWN = 60  # characters of a text that somebody else wrote


def quoted(text: str) -> str:
    """A text out of a message or a file as it may stand in an error: in quotes, on one line, short.

    Whoever sends it must not be able to fill a log, or to write lines of his own into it.
    """
    if len(text) > _SHOWN:
        return f"{text[:_SHOWN]!r}... ({len(text)} characters)"
    return repr(text)


class FocdepthError(Exception):
    """Base of every error that this package raises on purpose."""


class SliceError(FocdepthError, ValueError):
    """An image or a focus distance that cannot be a slice of a focal stack."""


class StackError(FocdepthError, ValueError):
    """Slices that do not form a focal stack together."""


class RelativeStackError(FocdepthError, ValueError):
    """Metres were asked of a focal stack whose focus distances are not known."""


class CalibrationError(FocdepthError, ValueError):
    """Camera intrinsics or lens parameters that no real camera can have."""


class StackFileError(FocdepthError):
    """A focal stack folder, or a file in it, that cannot be read."""


class OptionError(FocdepthError, ValueError):
    """A setting that does not exist, or a value outside its range."""


class UnknownBackendError(OptionError):
    """A backend name that is not in the registry."""


class BackendUnavailableError(FocdepthError):
    """A known backend that cannot run on this machine."""


class BackendError(FocdepthError):
    """A backend that failed on a sweep."""


class DeviceError(BackendError):
    """A device, such as a GPU, that failed a backend or answered what is no number.

    It may need some time to recover.
    """


class WeightsError(FocdepthError):
    """Weights of a network that are missing, damaged, or of another network."""


class ExportError(FocdepthError):
    """A network that cannot be written in another format, or not run from it."""


class AlignmentError(FocdepthError):
    """A slice that could not be brought onto the pixel grid of its sweep."""


class MessageError(FocdepthError, ValueError):
    """A ROS message whose content contradicts itself or cannot be used.

    `reason` names in a few words the kind of fault, the same for all messages that share it.
    """

    def __init__(self, message: str, *, reason: str = "bad message") -> None:
        super().__init__(message)
        self.reason = reason


class CameraDeviceError(FocdepthError):
    """A camera that is not there, not any more, or does not do what it is told."""


class DriverTableError(FocdepthError):
    """A table of a camera driver's parameters that is not there, or says what cannot be."""


class DriverError(FocdepthError):
    """A camera driver that is not there, refuses, or does not do what it was told."""


class DatasetError(FocdepthError):
    """A dataset that is not there, or a file of it that holds something else."""


class BagError(DatasetError):
    """A ROS bag that cannot be read, or has no focus sweeps."""


class EvaluationError(FocdepthError, ValueError):
    """A prediction and a ground truth that cannot be compared."""


class TrainingConfigError(OptionError):
    """A training configuration with a key that does not exist, or a value that cannot be."""


class TrainingError(FocdepthError):
    """A training run that cannot start, go on or be resumed."""


class ViewerError(FocdepthError):
    """A viewer that is not installed, cannot be started, or does not answer."""


def os_error_text(error: OSError) -> str:
    """What the system says of a file, as a sentence."""
    where = f"{error.filename}: " if error.filename is not None else ""
    reason = error.strerror or str(error)
    return f"{where}{reason}; check the path, its permissions and the free space"
