"""An exception, kept with its traceback to be handled elsewhere."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import NoReturn, Optional, Type, Union

__all__ = ["Failure"]


class Failure(BaseException):
    """An exception as a value: `value`, its class `type`, its traceback `tb`.

    Made without arguments within an `except` block, it is the exception that is being handled.
    """

    value: BaseException
    type: Type[BaseException]
    tb: Optional[TracebackType]

    def __init__(
        self,
        exc_value: Optional[BaseException] = None,
        exc_type: Optional[Type[BaseException]] = None,
        exc_tb: Optional[TracebackType] = None,
    ) -> None:
        if exc_value is None:
            exc_value = sys.exc_info()[1]
        if exc_value is None:
            raise ValueError("a Failure needs an exception; none was given, and none is being handled")
        super().__init__(exc_value)
        self.value = exc_value
        self.type = exc_type or type(exc_value)
        self.tb = exc_tb or exc_value.__traceback__

    def check(self, *errorTypes: Union[str, Type[BaseException]]) -> Optional[Union[str, Type[BaseException]]]:
        """The first of these classes (or their full names) that the exception is of; None if it is of none."""
        names = ["%s.%s" % (base.__module__, base.__name__) for base in self.type.__mro__]
        for error in errorTypes:
            if error in names if isinstance(error, str) else issubclass(self.type, error):
                return error
        return None

    def trap(self, *errorTypes: Union[str, Type[BaseException]]) -> Union[str, Type[BaseException]]:
        """As `check`, but an exception that is of none of these classes is raised on."""
        found = self.check(*errorTypes)
        if found is None:
            self.raiseException()
        return found

    def raiseException(self) -> NoReturn:
        """Raises the exception, with its own traceback."""
        raise self.value.with_traceback(self.tb)

    def getErrorMessage(self) -> str:
        """What the exception says."""
        return str(self.value)

    def getTraceback(self, elideFrameworkCode: int = 0, detail: str = "default") -> str:
        """The traceback and the exception, as Python prints them."""
        return "".join(traceback.format_exception(self.type, self.value, self.tb))

    def getTracebackObject(self) -> Optional[TracebackType]:
        """The traceback."""
        return self.tb

    def getBriefTraceback(self) -> str:
        """As `getTraceback`."""
        return self.getTraceback()

    def __repr__(self) -> str:
        return "<Failure %s: %s>" % (self.type.__qualname__, self.value)

    def __str__(self) -> str:
        return "[Failure instance: %s: %s]" % (self.type.__qualname__, self.value)
