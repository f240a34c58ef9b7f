"""`bridge bundle` and `bridge approve`: as somebody types them who changes files, and who agrees."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from approval_site import ApprovalSite
from command_line import bridge
from jsonschema import Draft202012Validator

from bridge.catalog import STANDARD
from bridge.cli.demo_site import write_site
from bridge.config.schema import APPROVERS, json_schemas

ADT = "channels/ehr-adt.yaml"


@pytest.fixture
def site(tmp_path: Path) -> ApprovalSite:
    folder = write_site(
        tmp_path / "site", patients_url="http://127.0.0.1:1", encounters_url="http://127.0.0.1:2"
    )
    return ApprovalSite(folder, tmp_path / "keys")


def test_a_change_is_shown_in_words_proposed_and_approved(site: ApprovalSite) -> None:
    site.approved()
    site.change(ADT, "accept: [ADT^A01, ", "accept: [ADT^A40, ADT^A01, ")
    site.change(ADT, "otherwise: reject", "otherwise: ignore")
    draft = site.show()
    assert draft.status == 1
    for words in ("is a draft", f"changed {ADT}", "accept: adds ADT^A40", "otherwise: reject → ignore"):
        assert words in draft.out
    assert "needs: somebody of integration" in draft.out
    assert site.propose().status == 0
    review = site.show("--format", "json")
    assert (json.loads(review.out)["state"], json.loads(review.out)["author"]) == ("review", "alice")
    assert "is approved by bob (integration)" in site.approve().out
    assert site.show().status == 0
    rows = json.loads(site.listed().out)
    assert sorted((row["of"], row["state"], row["author"]) for row in rows) == [
        ("", "approved", "alice"),
        ("", "approved", "alice"),
        ("persons", "approved", "alice"),
    ]


REFUSED = {
    "the author": ("alice", (), "alice wrote it, and an author cannot approve"),
    "other files": ("bob", ("0123456789ab",), "the files here are bundle"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_approval_that_is_refused_leaves_nothing(site: ApprovalSite, case: str) -> None:
    """With which words each is refused, `runtime/test_approval_matrix.py` holds."""
    name, more, text = REFUSED[case]
    assert site.propose().status == 0
    ended = site.approve(name, *more)
    assert ended.status == 1
    assert text in ended.err
    assert not list(site.folder.glob(f"approvals/*/{name}.approve.json"))


def test_a_key_must_be_the_one_that_the_file_has_and_nobody_else_s(site: ApprovalSite) -> None:
    assert site.propose().status == 0
    site.make_key("bob", "another")
    assert "it was replaced, there or here" in site.approve().err
    site.make_key("bob").chmod(0o644)
    assert "others can reach this key" in site.approve().err
    assert "makes a key" in site.approve("zoe").err


def test_what_nobody_has_proposed_is_not_approved(site: ApprovalSite) -> None:
    assert "nobody has proposed bundle" in site.approve().err
    assert site.propose().status == 0
    site.change(ADT, "otherwise: reject", "otherwise: ignore")
    assert "nobody has proposed bundle" in site.approve().err


def test_mappings_without_tests_are_not_approved_where_tests_are_asked_for(site: ApprovalSite) -> None:
    site.change("approvals/approvers.yaml", "rules_tested: 0", "rules_tested: 100")
    mapping = site.folder / "mappings" / "adt-admit.yaml"
    mapping.write_text(mapping.read_text().partition("\ntests:")[0] + "\n")
    assert site.propose().status == 0
    assert "`rules_tested` asks for 100 %" in site.approve().err


def test_other_persons_need_two_of_those_before(site: ApprovalSite) -> None:
    site.approved()
    site.change("approvals/approvers.yaml", "groups: [oncall]", "groups: [oncall, finance]")
    shown = site.show("--approvers")
    assert "dave is of oncall, finance now" in shown.out
    assert site.propose("alice", "--approvers").status == 0
    assert "1 of 2 persons agreed, as approvers needs" in site.approve("bob", "--approvers").out
    assert "is approved by bob (integration), carol" in site.approve("carol", "--approvers").out


WRONG = {
    "a key of somebody else": ("carol: {key: carol", "carol: {key: bob", "carol"),
    "no key": ("carol: {key: carol+", "carol: {key: carol-", "carol"),
    "an area": ("[claim, ", "[claims, ", "did you mean 'claim'?"),
    "a group of nobody": ("otherwise: integration", "otherwise: integrators", "did you mean 'integration'?"),
    "an unknown key": ("emergency:", "emergencies:", "emergency"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_the_file_of_persons_is_shown_at_its_place(site: ApprovalSite, case: str) -> None:
    old, new, text = WRONG[case]
    site.change("approvals/approvers.yaml", old, new)
    ended = site.show()
    assert ended.status == 3
    assert "approvals/approvers.yaml:" in ended.err
    assert text in ended.err


def test_a_key_is_made_once_and_shown_again(tmp_path: Path) -> None:
    place = tmp_path / "bob.key"
    made = bridge("bundle", "key", "bob", "--out", place)
    assert place.stat().st_mode & 0o077 == 0
    assert "key: bob+" in made.out
    assert bridge("bundle", "key", "bob", "--out", place).out == made.out
    assert "is the key of bob" in bridge("bundle", "key", "carol", "--out", place).err


PAGE = Path(__file__).parents[2] / "deploy" / "README.md"


def shown_on_the_page(name: str) -> list[list[str]]:
    """The commands of a block of the page, as somebody types them."""
    text = PAGE.read_text().partition(f"<!-- approvals: {name} -->")[2]
    block = text.partition("```sh\n")[2].partition("```")[0]
    return [shlex.split(line)[1:] for line in block.splitlines()]


def shown_persons() -> str:
    """The file of persons that the page shows."""
    return (
        PAGE.read_text()
        .partition("\n`approvals/approvers.yaml`")[2]
        .partition("```yaml\n")[2]
        .partition("```")[0]
    )


def test_check_says_of_each_key_of_the_page_that_it_stands_for_one(site: ApprovalSite) -> None:
    assert bridge("check", "--config", site.folder).status == 0
    site.persons.write_text(shown_persons())
    ended = bridge("check", "--config", site.folder)
    assert (ended.status, ended.out.count("C122: this is not the public key of somebody called")) == (1, 4)
    assert "approvals/approvers.yaml:2:16" in ended.out


def test_tests_that_are_missing_are_named_before_somebody_tries_to_agree(site: ApprovalSite) -> None:
    site.change("approvals/approvers.yaml", "rules_tested: 0", "rules_tested: 100")
    file = next((site.folder / "mappings").glob("*.yaml"))
    file.write_text(file.read_text().partition("\ntests:")[0] + "\n")
    words = f"the tests of {file.stem} go through 0 of "
    assert f"missing, before anybody can approve: {words}" in site.propose().out
    assert f"missing: {words}" in site.show().out
    assert words in json.loads(site.show("--format", "json").out)["missing"][0]
    assert words in site.approve().err


def test_the_page_leads_from_keys_to_approved_files(
    site: ApprovalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.folder)
    persons = shown_persons()
    for arguments in shown_on_the_page("keys"):
        made = bridge(*arguments)
        assert made.status == 0
        name, line = arguments[2], made.out.split("key: ")[1].split()[0]
        persons = persons.replace(name.upper(), line)
    site.persons.write_text(persons)
    propose, show, approve = shown_on_the_page("first")
    assert bridge(*propose).status == 0
    assert bridge(*show).status == 1
    assert bridge(*approve).status == 0
    assert bridge(*show).status == 0
    site.change(ADT, "otherwise: reject", "otherwise: ignore")
    propose, emergency, review = shown_on_the_page("emergency")
    assert bridge(*propose).status == 0
    told = bridge(*emergency).out
    assert "may run until 2" in told
    assert "; its review needs: somebody of integration" in told
    assert bridge(*show).status == 0
    assert "is approved by bob (integration)" in bridge(*review).out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--emergency", "--for", "0s"), "expected more than 0s, and 24h at most"),
        (("--emergency", "--for", "25h"), "expected more than 0s, and 24h at most"),
        (("--for", "1h"), "--for goes with --emergency"),
    ],
)
def test_an_emergency_lasts_as_long_as_was_said_or_is_refused(
    site: ApprovalSite, more: tuple[str, ...], words: str
) -> None:
    site.change(ADT, "otherwise: reject", "otherwise: ignore")
    site.propose("alice")
    ended = site.approve("dave", *more)
    assert (ended.status, words in ended.err) == (2, True)


def test_an_editor_takes_the_file_of_persons_and_marks_its_mistakes(site: ApprovalSite) -> None:
    validator = Draft202012Validator(json_schemas(STANDARD)[APPROVERS])
    text = site.persons.read_text()
    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert list(validator.iter_errors(yaml.safe_load(text.replace("emergency:", "emergencies:")))) != []


CONTRACT = """\
openapi: 3.0.3
info: {title: Encounters, version: VERSION}
paths:
  /encounters/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    put:
      requestBody: {content: {application/json: {schema: {type: object, required: [REQUIRED]}}}}
      responses: {"200": {description: stored}}
  /encounters/{id}/cancel:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    post: {responses: {"200": {description: cancelled}}}
"""
ENCOUNTERS = "channels/apis/ehr.encounters.yaml"


def test_what_breaks_in_a_changed_contract_is_shown_to_who_must_agree(site: ApprovalSite) -> None:
    folder = site.folder / "channels" / "contracts"
    folder.mkdir()
    older = CONTRACT.replace("VERSION", "1.0.0").replace("REQUIRED", "key")
    (folder / "enc-1.yaml").write_text(older)
    (folder / "enc-2.yaml").write_text(older.replace("1.0.0", "2.0.0").replace("[key]", "[key, ward]"))
    file = site.folder / ENCOUNTERS
    file.write_text(file.read_text() + "contract: {openapi: contracts/enc-1.yaml, check: observe}\n")
    site.approved()
    assert "contract:" not in site.show().out
    site.change(ENCOUNTERS, "contracts/enc-1.yaml", "contracts/enc-2.yaml")
    shown = site.show().out
    assert "contract: enc-1.yaml → enc-2.yaml of ehr.encounters: 1 change, of which 1 break" in shown
    assert "breaks  PUT /encounters/{id}" in shown
    (told,) = json.loads(site.show("--format", "json").out)["contracts"]
    assert (told["apis"], told["breaking"], told["not_compared"]) == (["ehr.encounters"], 1, "")
    # The same name, and another content; and a document that is not kept any more.
    site.approved()
    (folder / "enc-2.yaml").write_text(older.replace("1.0.0", "2.0.1"))
    shown = site.show().out
    assert "contract: enc-2.yaml of ehr.encounters: 0 changes, of which 0 break" in shown
    assert "version: 2.0.0 → 2.0.1" in shown
    for kept in site.folder.glob("approvals/files/*"):
        kept.unlink()
    assert "of ehr.encounters: there was none before" in site.show().out
