"""Shows a correction, the way back, and that the keyboard remembers.

python examples/corrections.py
"""

from keyboard_lm import Backspaced, FieldStarted, Session, Typed


def main() -> None:
    """Type "teh", take the correction back, and type it again."""
    session = Session.open()
    for char in "what is teh":
        session.apply(Typed(char))
    print("announced:", session.suggest().correction)
    edit = session.apply(Typed(" "))
    print(f"a space deletes {edit.deleted_before!r} and inserts {edit.inserted!r}")
    session.apply(Backspaced())
    print(f"backspace puts it back: {session.text!r}")
    session.apply(FieldStarted())
    for char in "what is teh ":
        session.apply(Typed(char))
    print(f"and it stays: {session.text!r}")


if __name__ == "__main__":
    main()
