"""The one dialog of every change as a person fills it in, and which side answers then."""

from typing import Final

from playwright.async_api import expect

from tests.browser.person import Person
from tests.conftest import IDENTITY, Api, case_form

REASON: Final = "Reason (it stays in the audit; no names of patients)"
MAKE: Final = "Make the change"


async def begin_change(person: Person, what: str) -> None:
    """Opens the dialog of a change of newCase."""
    await person.open("/routes/new_case")
    await person.click(what)
    await expect(person.page.locator("#change")).to_be_visible()


async def make_change(person: Person, reason: str, *, forward: bool = False, typed: str = "") -> None:
    """Makes the change of the open dialog, and waits until it is in force."""
    await person.fill(REASON, reason)
    if forward:
        await person.click("Go forward despite the evidence", "checkbox")
    if typed:
        await person.fill(f"Type the name of the route, {typed}, to confirm", typed)
    await person.click(MAKE, "button")
    await expect(person.page.get_by_role("status").filter(has_text="Changed")).to_contain_text("1 of 1")


async def side_of(api: Api, organization: str) -> str:
    """Returns the side that makes the organization's next case."""
    headers = {**IDENTITY, "organization": organization}
    async with api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers=headers) as response:
        assert response.status == 200, await response.text()
        side = "legacy" if "Via" in response.headers else "new"
    await api.proxy.moving.recorder.flush()  # what is shown of it is in the store now, not in a second
    return side
