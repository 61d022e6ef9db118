from tests.surfaces.native.conftest import story

__all__ = ["story"]
