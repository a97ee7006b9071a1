"""A setup link opens everything: that one was made is in the audit log, the link itself is not."""

import json

from tests.yard import run_yard, setup_token

NO_ADMIN = {"MODELYARD_ADMIN_API_KEY": ""}
PERSON = {"email": "you@example.com", "password": "correct horse battery staple"}


def test_every_link_that_was_made_is_audited_and_none_can_be_read_there(data_dir):
    with run_yard(data_dir, NO_ADMIN) as yard:
        tokens = [setup_token(yard)]
    with run_yard(data_dir, NO_ADMIN) as yard, yard.client(None) as client:
        tokens.append(setup_token(yard))
        done = client.post("/api/v1/setup", json={"token": tokens[1], **PERSON})
        assert done.status_code == 200, done.text
        with yard.client(done.json()["key"]) as administrator:
            answer = administrator.get("/api/v1/audit", params={"entity_type": "setup"})
            everything = administrator.get("/api/v1/audit", params={"limit": 100}).text
    entries = answer.json()["items"]
    assert [(entry["action"], entry["user_id"]) for entry in entries] == [("setup.link_made", "system")] * 2
    assert not [token for token in tokens if token in everything or token in json.dumps(entries)]
