"""Types a sentence and prints the bar after every word.

python examples/suggest.py "I am going to teh shop"
"""

import sys

from keyboard_lm import Session, Typed


def main(text: str) -> None:
    """Print the bar behind each word, and the text that came of it."""
    session = Session.open()
    for char in text:
        session.apply(Typed(char))
        if char == " ":
            bar = session.suggest()
            print(f"{session.text!r}: " + " | ".join(slot.text for slot in bar.slots))
    print(session.text)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "I am going to teh shop ")
