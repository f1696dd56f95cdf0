"""Lets the command import the package handwound, whose files it carries in itself."""

import importlib.util
import sys

ROOT = "<embedded>/"
NATIVE = "handwound._native"


class Embedded:
    """Finds and loads handwound and all that is below it, and nothing else.

    A finder and a loader by what it can do, and not by its bases: importlib.abc brings in a third of the standard
    library, which took longer than all else before the application.
    """

    def __init__(self, files, native):
        self._files = dict(files)
        self._native = native

    def find_spec(self, fullname, path=None, target=None):
        if fullname == NATIVE:
            return importlib.util.spec_from_loader(fullname, self, origin="built-in", is_package=False)
        file = self._file(fullname)
        if file is None:
            return None
        is_package = self.is_package(fullname)
        spec = importlib.util.spec_from_loader(fullname, self, origin=ROOT + file, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(spec.origin.rpartition("/")[0])
        return spec

    def create_module(self, spec):
        if spec.name != NATIVE:
            return None
        self._native.__name__ = NATIVE
        return self._native

    def exec_module(self, module):
        if module is not self._native:
            exec(self.get_code(module.__name__), module.__dict__)

    def is_package(self, fullname):
        return fullname != NATIVE and self._known(fullname).endswith("/__init__.py")

    def get_code(self, fullname):
        if fullname == NATIVE:
            return None
        return compile(self.get_source(fullname), ROOT + self._known(fullname), "exec", dont_inherit=True)

    def get_source(self, fullname):
        """The text, for tracebacks and for whoever looks with inspect or pydoc."""
        return None if fullname == NATIVE else self._files[self._known(fullname)]

    def get_data(self, path):
        """Any file of the package, as pkgutil.get_data asks for it."""
        try:
            return self._files[path[len(ROOT) :]].encode()
        except KeyError:
            raise FileNotFoundError(path) from None

    def _file(self, fullname):
        stem = fullname.replace(".", "/")
        return next((file for file in (stem + ".py", stem + "/__init__.py") if file in self._files), None)

    def _known(self, fullname):
        file = self._file(fullname)
        if file is None:
            raise ImportError("no module " + fullname, name=fullname)
        return file


class Folder:
    """What pkgutil and pydoc ask for the modules of a package."""

    def __init__(self, finder, path):
        if not path.startswith(ROOT):
            raise ImportError("not carried in the command", path=path)
        self._finder = finder
        self._inside = path[len(ROOT) :] + "/"

    def find_spec(self, fullname, target=None):
        return self._finder.find_spec(fullname)

    def iter_modules(self, prefix=""):
        for file in sorted(self._finder._files):
            if not (file.startswith(self._inside) and file.endswith(".py")):
                continue
            name = file[len(self._inside) : -len(".py")]
            if name.count("/") == 1 and name.endswith("/__init__"):
                yield prefix + name.partition("/")[0], True
            elif "/" not in name and name != "__init__":
                yield prefix + name, False


def install(files, native):
    """Comes first on sys.meta_path: what is installed elsewhere under the same name is not of this build."""
    finder = Embedded(files, native)
    sys.meta_path.insert(0, finder)
    sys.path_hooks.append(lambda path: Folder(finder, path))
