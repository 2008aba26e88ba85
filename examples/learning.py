"""Learns words from what is typed, shows them, and forgets them.

python examples/learning.py FILE
"""

import sys
from pathlib import Path

from keyboard_lm import FieldStarted, Session, SessionOptions, SlotAccepted, Typed


def main(file: Path) -> None:
    """Teach a keyboard a name, close it, open it again, and have the name forgotten."""
    options = SessionOptions(personal=file)
    session = Session.open(options=options)
    session.apply(FieldStarted("talk to "))
    session.apply(SlotAccepted("Xiangyu", ""))  # accepted, so meant: learned at once
    session.close()

    session = Session.open(options=options)
    session.apply(FieldStarted("talk to "))
    session.apply(Typed("X"))
    print("offered:", [slot.text for slot in session.suggest().slots])
    print("learned:", session.personal.words())
    session.personal.forget("xiangyu")
    session.apply(Typed("i"))
    print("offered:", [slot.text for slot in session.suggest().slots])
    session.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
