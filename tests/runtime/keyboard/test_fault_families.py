"""What people complain of in keyboards, a table for each kind: typed letter by letter into the keyboard that ships."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyboard_lm.keyboard.bar import Slot
from keyboard_lm.keyboard.events import FieldStarted, ShiftPressed, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions


@pytest.fixture(scope="module")
def keyboard() -> Iterator[Session]:
    session = Session.open(options=SessionOptions(num_threads=1))
    yield session
    session.close()


def bar_of(session: Session, text: str) -> tuple[Slot, ...]:
    """Type a text into a new field, in its own case, looking at every bar; return the last."""
    session.apply(FieldStarted(is_private=True))
    for char in text:
        if char.islower() and session.shift != "off":
            session.apply(ShiftPressed(lock=session.shift == "lock"))
        session.apply(Typed(char))
        session.suggest()
    return session.shown.slots


def after_space(session: Session, text: str) -> str:
    """Return what stands there when a space has been typed, in small letters where the text was."""
    bar_of(session, text)
    session.apply(Typed(" "))
    return session.text.removesuffix(" ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("I will recieve", "receive"), ("he definately", "definitely"), ("I dont beleive", "believe"),
        ("my best freind", "friend"), ("this is thier", "their"), ("wait untill", "until"),
        ("we need to seperate", "separate"), ("see you tommorow", "tomorrow"), ("they can accomodate", "accommodate"),
        ("we had an arguement", "argument"), ("I am writting", "writing"), ("put it in my calender", "calendar"),
        ("it was a big suprise", "surprise"), ("a very persistant", "persistent"), ("hardly noticable", "noticeable"),
        ("he said it publically", "publicly"), ("the existance", "existence"), ("what happend", "happened"),
        ("on the goverment", "government"), ("the enviroment", "environment"), ("it is neccessary", "necessary"),
        ("I will rember", "remember"), ("it is probly", "probably"), ("a diffrent", "different"),
    ],
)  # fmt: skip
def test_what_people_misspell_is_mended(keyboard: Session, typed: str, meant: str) -> None:
    slots = bar_of(keyboard, typed)
    assert meant in [slot.text for slot in slots]
    if typed != "what happend":  # "happens" may be as likely there
        assert after_space(keyboard, typed).endswith(f" {meant}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ommited", "omitted"),
        ("unatourral", "unnatural"),
        ("syncorization", "synchronization"),
    ],
)
def test_letters_that_look_like_a_word_are_for_the_gate_to_weigh(keyboard: Session, typed: str, meant: str) -> None:
    # As a word that nobody listed each is more probable than what was meant; no list holds it all the same.
    assert after_space(keyboard, typed).lower() == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tounge", "tongue"), ("I bit my tounge", "tongue"), ("well, perphas", "perhaps"), ("it was qtuie", "quite"),
        ("that is unfortunently", "unfortunately"), ("The earliest the Jets expec", "expect"),
        ("we grow tomatos", "tomatoes"), ("we are agreing", "agreeing"),
    ],
)  # fmt: skip
def test_a_letter_far_from_its_place_a_third_error_and_a_missing_end_are_mended(
    keyboard: Session, typed: str, meant: str
) -> None:
    assert after_space(keyboard, typed).split()[-1].lower() == meant


@pytest.mark.parametrize(
    "typed",
    [
        "impactment",
        "semestep",
        "occured",
        "rythm",
        "wierd",
        "realy",
        "yoguru",
        "hell0",
        "10in",
        "5km",
        "thats",
        "definat",
    ],
)
def test_every_word_on_the_bar_is_one(keyboard: Session, typed: str) -> None:
    words = keyboard._suggester._known_words
    for end in range(1, len(typed) + 1):
        slots = bar_of(keyboard, typed[:end])
        for slot in slots:
            assert slot.kind in ("literal", "emoji") or words.may_offer(slot.text), (typed[:end], slot)


@pytest.mark.parametrize(
    "word", ["compilings", "sexuals", "intractables", "politicals", "insecured", "behavings", "adverses"]
)
def test_a_form_that_only_a_rule_has_made_is_kept_and_not_offered(keyboard: Session, word: str) -> None:
    for end in range(3, len(word) + 1):
        offered = {slot.text for slot in bar_of(keyboard, word[:end]) if slot.kind != "literal"}
        assert word not in offered, (word[:end], offered)
    assert after_space(keyboard, f"it was {word}").lower().endswith(word)


@pytest.mark.parametrize("word", ["Argentina's", "Powell's", "neighbours'", "podcasters"])
def test_possessives_and_listed_forms_may_be_offered(keyboard: Session, word: str) -> None:
    assert keyboard._suggester._known_words.may_offer(word)


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("i cant wait", "I can't wait"), ("i cant go", "I can't go"), ("its raining", "it's raining"),
        ("lets go", "let's go"), ("wont be", "won't be"), ("he hasnt", "he hasn't"), ("they dont", "they don't"),
        ("i was in its box", "I was in its box"), ("he was ill and", "he was ill and"), ("go to hell", "go to hell"),
        ("we were", "we were"), ("oh well", "oh well"), ("the tool shed", "the tool shed"), ("a user id", "a user id"),
    ],
)  # fmt: skip
def test_contractions_are_decided_by_both_sides(keyboard: Session, typed: str, left: str) -> None:
    assert after_space(keyboard, typed) == left


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("canbyou", "can you"), ("thebdock", "the dock"), ("thanknyou", "thank you"), ("howvare", "how are"),
        ("ibwant", "I want"), ("so ibwant", "so I want"), ("ibneed", "I need"), ("today ibam", "today I am"),
        ("ihave", "I have"), ("and ilike", "and I like"), ("my icloud", "my iCloud"), ("the iboy", "the iboy"),
        ("see you inthe", "see you in the"), ("hell0", "hello"), ("the po8nt", "the point"), ("i kn0w", "I know"),
    ],
)  # fmt: skip
def test_the_key_beside_and_the_digit_above(keyboard: Session, typed: str, left: str) -> None:
    assert after_space(keyboard, typed) == left


@pytest.mark.parametrize(
    "word",
    [
        "omw", "thru", "lit", "plz", "pls", "nooo", "sooo", "yesss", "lol", "lmao", "brb", "btw", "idk", "tbh", "imo",
        "gonna", "wanna", "gotta", "kinda", "dunno", "lemme", "yeah", "yep", "nope", "haha", "hmm", "ugh", "omg", "thx",
        "vlogs", "distro", "matcha", "Fortnite", "vaping", "waitlist", "nevermind", "fav", "americano", "Gadot",
        "bday", "tho", "cuz", "bro", "dude", "meh", "yay", "xoxo", "heyyy", "okayyy",
    ],
)  # fmt: skip
def test_chat_words_stay(keyboard: Session, word: str) -> None:
    assert after_space(keyboard, f"well {word}") == f"well {word}"


@pytest.mark.parametrize(
    "name",
    ["jim", "brooke", "lilly", "mary", "kevin", "sarah", "michael", "emma", "olivia", "noah", "liam", "ava", "ethan",
     "chloe", "zoe", "hannah", "maria", "carlos", "ahmed", "priya", "chen", "kate", "joe", "dan", "tina", "oscar"],
)  # fmt: skip
def test_a_name_gets_its_capital_and_not_another_word(keyboard: Session, name: str) -> None:
    assert after_space(keyboard, f"i saw {name}").lower() == f"i saw {name}"
    assert after_space(keyboard, f"i saw {name.capitalize()}").lower() == f"i saw {name}"


@pytest.mark.parametrize(
    "text",
    ["it was about the bile", "it was about the merck", "it was about the colour", "it was about the dogs",
     "it was about the dog's", "it was about the 5km", "it was at 10am", "it was the 3rd", "it cost $5", "it was 7:30",
     "it was about the organisation", "it was about the lads", "it was about the theatre", "we realised"],
)  # fmt: skip
def test_right_words_stay(keyboard: Session, text: str) -> None:
    assert after_space(keyboard, text).lower() == text.lower()


@pytest.mark.parametrize(
    ("typed", "wanted"), [("I am goin", "going"), ("I am getti", "getting"), ("what are you doin", "doing")]
)
def test_the_most_probable_word_is_first(keyboard: Session, typed: str, wanted: str) -> None:
    slots = [slot for slot in bar_of(keyboard, typed) if slot.kind != "literal"]
    assert slots[0].text == wanted


@pytest.mark.parametrize("typed", ["birthday", "thank", "tomorrow", "recieve", "getti", "I am goin", "hap"])
def test_no_slot_is_filled_from_the_tail(keyboard: Session, typed: str) -> None:
    for slot in bar_of(keyboard, typed):
        assert slot.kind in ("literal", "emoji") or slot.probability >= 0.001


def test_capitals_throughout_stay_capitals(keyboard: Session) -> None:
    assert bar_of(keyboard, "AGAKN")[0].text == "AGAIN"
    assert after_space(keyboard, "THEY WILL COME AGAKN") == "THEY WILL COME AGAIN"
    assert after_space(keyboard, "THE NASA") == "THE NASA"


def test_a_lone_i_is_offered_as_a_capital(keyboard: Session) -> None:
    for text in ("yes but ", "so do ", "ok "):
        bar_of(keyboard, text)
        assert "i" not in [slot.text for slot in keyboard.shown.slots]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("see you tomorow ", "see you tomorrow "), ("I definately ", "I definitely "), ("my freinds ", "my friends ")],
)
def test_a_context_with_errors_in_it_is_read_as_what_was_meant(keyboard: Session, wrong: str, right: str) -> None:
    bars = []
    for text in (wrong, right):
        keyboard.apply(FieldStarted(text, is_private=True))  # not typed: nothing mends it
        bars.append([slot.text for slot in keyboard.suggest().slots])
    assert bars[0] == bars[1]
