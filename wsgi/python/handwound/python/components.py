"""Objects that carry others, found by a class."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict

__all__ = ["Componentized", "registerAdapter"]

_adapters: Dict[Any, Callable[[Any], Any]] = {}


def registerAdapter(adapterFactory: Callable[[Any], Any], origInterface: Any, *interfaceClasses: Any) -> None:
    """Says how a component of these classes is made where one is asked for: `adapterFactory(carrier)`."""
    for interface in interfaceClasses:
        _adapters[interface] = adapterFactory


class Componentized:
    """Carries components: any objects, each remembered under a class."""

    def __init__(self) -> None:
        self._components: Dict[Any, Any] = {}
        self._components_lock = threading.RLock()

    def setComponent(self, interfaceClass: Any, component: Any) -> None:
        """Remembers `component` under a class."""
        with self._components_lock:
            self._components[interfaceClass] = component

    def getComponent(self, interface: Any, default: Any = None) -> Any:
        """What was remembered under a class; made now, if `registerAdapter` said how; else `default`."""
        with self._components_lock:
            if interface not in self._components and interface in _adapters:
                self._components[interface] = _adapters[interface](self)
            return self._components.get(interface, default)

    def unsetComponent(self, interfaceClass: Any) -> None:
        """Forgets what was remembered under a class."""
        with self._components_lock:
            self._components.pop(interfaceClass, None)
