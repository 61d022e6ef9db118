"""Every reachable state of every small world keeps the rules. The long form is `python -m bench explore`."""

import pytest

from tests.domain.page import found
from tests.domain.seen import SEEN
from tests.domain.worlds import WORLDS


@pytest.mark.parametrize("index", range(len(WORLDS)), ids=[world.__name__ for world in WORLDS])
def test_every_reachable_state_keeps_the_rules(index: int) -> None:
    seen = found(index)

    SEEN.append(str(seen))
    assert seen.is_complete
    assert seen.refused
    assert len(seen.ends) > 1
