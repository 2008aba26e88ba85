"""Keeps a keyboard in a thread of its own while keys come in, as an app does: nobody waits for a bar that is stale.

python examples/other_thread.py
"""

import queue
import threading

from keyboard_lm import Session, Typed


def keyboard(keys: "queue.Queue[str]", shown: list[str]) -> None:
    """Open a session in the one thread that uses it, and answer keys until an empty one comes."""
    session = Session.open()
    while char := keys.get():
        session.apply(Typed(char))
        bar = session.suggest(is_stale=lambda: not keys.empty())  # the network is not asked once the next key is there
        if keys.empty():
            shown.append(f"{session.text!r}: " + " | ".join(slot.text for slot in bar.slots))


def main() -> None:
    """Type faster than the bar is made, then wait for the last one."""
    keys: queue.Queue[str] = queue.Queue()
    shown: list[str] = []
    thread = threading.Thread(target=keyboard, args=(keys, shown))
    thread.start()
    for char in "how are yo":
        keys.put(char)
    while not shown or not shown[-1].startswith("'How are yo'"):
        thread.join(0.01)
    keys.put("")
    thread.join()
    print(shown[-1])


if __name__ == "__main__":
    main()
