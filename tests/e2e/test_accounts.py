"""Signing in on the page: what a person sees, and what a script on the page could take: nothing."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.api.access import AT_START, build_accounts, storage_of
from penstock.settings import Settings
from tests.api.real_server import serving
from tests.e2e.playground import PATIENCE_MS, Playground, expect
from tests.fakes import FakeModels

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAME, PASSWORD = "ada", "a brass difference engine"


def make(settings: Settings, *, must_change: bool = False) -> None:
    """On a thread of its own: on this one Playwright's loop runs."""
    with ThreadPoolExecutor(1) as thread:
        making = make_user(settings, Role.ADMIN, must_change=must_change)
        thread.submit(asyncio.run, making).result()


async def make_user(settings: Settings, role: Role, *, must_change: bool) -> None:
    storage = storage_of(settings)
    await storage.open()
    await build_accounts(settings, storage).registration.create(
        Wanted(username=NAME, password=PASSWORD),
        role=role,
        actor="test",
        visitor=AT_START,
        must_change_password=must_change,
    )
    await storage.close()


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[str]:
    """A server where one must sign in."""
    settings = Settings(auth="required", registration="approval", data_dir=tmp_path)
    make(settings)
    with serving(settings, FakeModels()) as url:
        yield url


@pytest.fixture
def local(tmp_path: Path) -> Iterator[str]:
    """A server of this machine, without any account."""
    with serving(Settings(data_dir=tmp_path), FakeModels()) as url:
        yield url


@pytest.fixture
def person(browser: Browser) -> Iterator[Playground]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = Playground(context.new_page())
    yield page
    assert page.complaints == []
    context.close()


def sign_in(person: Playground, password: str = PASSWORD) -> None:
    person.page.get_by_label("Name", exact=True).fill(NAME)
    person.page.get_by_label("Password", exact=True).fill(password)
    person.press("Sign in")


def status_with(url: str, key: str) -> int:
    request = urllib.request.Request(f"{url}/models", headers={"authorization": f"Bearer {key}"})
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_one_signs_in_makes_a_key_revokes_it_and_signs_out(asking: str, person: Playground) -> None:
    page = person.page
    page.goto(asking)
    sign_in(person, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("user name or the password is wrong")
    sign_in(person)
    expect(person.pad).to_be_visible()
    person.write("Once upon a time")
    person.generate()

    page.get_by_role("button", name=f"Account: {NAME}").click()
    page.get_by_label("What it is for").fill("notebook")
    person.press("Create a key")
    key = page.get_by_label("The new key").text_content() or ""
    assert status_with(asking, key) == 200
    person.press("Copy")
    expect(person.button("Copied")).to_be_visible()
    person.press("I have it")
    expect(page.get_by_text(key)).to_have_count(0)
    person.press("Revoke notebook")
    person.press("Revoke for good")
    expect(page.get_by_text("notebook")).to_have_count(0)
    assert status_with(asking, key) == 401

    kept = page.evaluate(
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    for secret in (*(cookie["value"] for cookie in page.context.cookies()), key, PASSWORD):
        assert secret not in kept
    assert {c["name"] for c in page.context.cookies()} == {"penstock_session", "penstock_device"}
    assert all(c["httpOnly"] and c["sameSite"] == "Strict" for c in page.context.cookies())

    person.press("Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(person.pad).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_session_that_ended_elsewhere_leads_to_the_door(asking: str, person: Playground) -> None:
    person.page.goto(asking)
    sign_in(person)
    expect(person.pad).to_be_visible()
    person.page.context.clear_cookies(name="penstock_session")

    person.write("Once upon a time")
    person.press("Generate")

    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(person)
    expect(person.pad).to_have_value("Once upon a time")  # what was written is still there


def test_who_registers_is_told_to_wait_for_approval(asking: str, person: Playground) -> None:
    person.page.goto(asking)
    person.press("Make an account")
    person.page.get_by_label("Name", exact=True).fill("dora")
    person.page.get_by_label("Password", exact=True).fill("short")
    person.press("Register")
    expect(person.page.get_by_role("alert")).to_contain_text("Use 12 characters or more")
    person.page.get_by_label("Password", exact=True).fill("four hundred paper boats")
    person.press("Register")
    expect(person.page.get_by_text("waits for an administrator")).to_be_visible()


def test_on_this_machine_the_first_account_is_made_on_the_page(
    local: str, person: Playground
) -> None:
    person.open(local)
    person.press("Account")
    page = person.page
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    person.press("Create the account")

    expect(page.get_by_text("administrator", exact=True)).to_be_visible()
    person.press("Sign out")
    expect(person.pad).to_be_visible()  # nobody need sign in here
    person.press("Account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(person)
    expect(page.get_by_text("administrator", exact=True)).to_be_visible()


def test_a_password_of_somebody_else_is_changed_before_anything_else(
    tmp_path: Path, person: Playground
) -> None:
    settings = Settings(auth="required", data_dir=tmp_path)
    make(settings, must_change=True)
    with serving(settings, FakeModels()) as url:
        person.page.goto(url)
        sign_in(person)
        person.page.get_by_label("Password until now").fill(PASSWORD)
        person.page.get_by_label("New password").fill("four hundred paper boats")
        person.press("Change the password")
        expect(person.pad).to_be_visible()


def test_a_limit_is_met_understood_and_seen_in_the_usage(
    tmp_path: Path, person: Playground
) -> None:
    settings = Settings(auth="required", data_dir=tmp_path, limits={"tokens_per_day": 250})
    make(settings)
    with serving(settings, FakeModels()) as url:
        page = person.page
        page.goto(url)
        sign_in(person)
        page.get_by_role("button", name=f"Account: {NAME}").click()
        page.get_by_label("What it is for").fill("notebook")
        person.press("Create a key")
        expect(page.get_by_label("The new key")).to_be_visible()
        page.keyboard.press("Escape")
        person.write("Once upon a time")
        person.generate()
        person.press("Generate")  # what is left does not suffice

        told = "Your account may use 250 tokens a day; "
        expect(person.status).to_contain_text(told)
        expect(person.status).to_contain_text("left until 00:00 UTC")
        person.press("See what is left")
        usage = page.get_by_role("region", name="Usage")
        expect(usage).to_contain_text("of 250 left")
        expect(usage).to_contain_text(", 30 days")
        expect(usage.locator(".usage-bar").last).not_to_have_attribute("height", "0")
        person.press("Sign out")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
