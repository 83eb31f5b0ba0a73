"""The address book: round robin, remembered, never twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from pod_network.addresses import AddressBook
from pod_network.errors import AddressesExhausted, NetworkError


def test_addresses_go_round() -> None:
    book = AddressBook("10.244.1.0/29", None)
    assert book.gateway == "10.244.1.1"
    assert [book.allocate(name) for name in "abc"] == ["10.244.1.2", "10.244.1.3", "10.244.1.4"]
    book.release("a")
    assert book.allocate("d") == "10.244.1.5"  # not a's, which was just released
    assert book.allocate("e") == "10.244.1.6"
    assert book.allocate("f") == "10.244.1.2"
    with pytest.raises(AddressesExhausted):
        book.allocate("g")


def test_asking_again_gives_the_same() -> None:
    book = AddressBook("10.244.1.0/24", None)
    assert book.allocate("a") == book.allocate("a")
    book.release("a")
    book.release("a")
    assert book.get("a") is None


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    book = AddressBook("10.244.1.0/24", path)
    book.allocate("a")
    book.allocate("b")
    book.release("b")
    again = AddressBook("10.244.1.0/24", path)
    assert again.owners() == {"a": "10.244.1.2"}
    assert again.allocate("c") == "10.244.1.4"
    assert again.keep_only({"c"}) == ["a"]
    assert AddressBook("10.244.1.0/24", path).owners() == {"c": "10.244.1.4"}


def test_another_range_keeps_those_who_have_one(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    AddressBook("10.244.1.0/24", path).allocate("a")
    moved = AddressBook("10.244.7.0/24", path)
    assert moved.get("a") == "10.244.1.2" and moved.allocate("b") == "10.244.7.2"


def test_a_damaged_book_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    path.write_text("{")
    with pytest.raises(NetworkError, match="damaged"):
        AddressBook("10.244.1.0/24", path)


def test_what_cannot_be_written_is_not_given_out(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    book = AddressBook("10.244.1.0/24", None)
    book._path = blocked / "addresses.json"
    with pytest.raises(OSError):
        book.allocate("a")
    assert book.get("a") is None


def test_too_small_a_range() -> None:
    with pytest.raises(ValueError, match="too small"):
        AddressBook("10.244.1.0/31", None)
