"""What the tests of "as code" share: a document with every field, and the command line on a data directory."""

import os
import subprocess
import sys
from pathlib import Path

from tests.yard import KEPT

PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

# Secrets whose every appearance is a fault.
SECRETS = {
    "FIRST": "sk-first-secret-of-the-cloud-0123456789",
    "SECOND": "sk-second-secret-of-the-cloud-9876543210",
    "HEADER": "header-secret-of-the-cloud-5555555555",
    "TOKEN": "token-of-the-pipeline-0123456789abcdefghij",
}

# Every field of every noun, none at its default (a test holds it to that).
FULL = f"""
settings:
  permissions: {{workspace: {{models: true}}, chat: {{delete: false}}}}
  models.default: [polite]
  models.pinned: [gpt, polite]
  models.order: [polite, gpt]
  models.fallbacks: {{"*": [gpt], polite: [gpt]}}
  arena.enabled: true
  arena.models:
    - id: blind
      name: Blind
      meta:
        model_ids: [gpt]
        access_control: {{read: {{group_ids: [Forschung 🦉], user_ids: [zoe@example.com]}}}}
  connections.direct: true
  connections.base_models_cache: true
  sign_up.enabled: true
  sign_up.role: user
  sign_up.group: people
groups:
  - name: Forschung 🦉
    description: "Zeile eins\\nZeile zwei\\n"
    parent: people
    permissions: {{workspace: {{models: true, models_import: true}}, features: {{api_keys: true}}}}
    share: false
  - name: people
connections:
  - name: "Cloud: größer"
    kind: openai
    base_url: https://api.example.com/v1
    flavour: vllm
    api_keys: ["${{FIRST}}", "${{SECOND}}"]
    enable: false
    prefix_id: c
    model_ids: [gpt, "llama3:8b"]
    tags: [fast, "yes"]
    connection_type: external
    priority: 3
    weight: 7
    timeouts: {{connect: 3, first_byte: 120.5, idle: 30}}
    limits: {{rpm: 10, tpm: 20, concurrency: 2}}
    headers: {{X-Team: "${{HEADER}}"}}
    tls: {{verify: false, ca_file: {__file__}, client_cert: {__file__}}}
    loads: false
  - {{name: plain, kind: ollama, base_url: "http://127.0.0.1:11434"}}
users:
  - {{email: boss@example.com, role: admin, name: Chief}}
  - email: zoe@example.com
    name: Zoë
    role: pending
    groups: [people, Forschung 🦉]
  - email: ci@example.com
    kind: service
    keys:
      - name: pipeline
        key: "${{TOKEN}}"
        models: [polite]
        dialects: [openai, ollama]
        expires_at: 4000000000
        limits: {{rpm: 5, tpm: 600, concurrency: 1}}
      - {{name: twin, limits: {{rpm: 1}}}}
      - {{name: twin, id: other, limits: {{rpm: 2}}}}
models:
  - {{id: gpt, name: GPT, access_control: null}}
  - {{id: c.gpt, access_control: {{read: {{user_ids: ["*"]}}, write: {{user_ids: [zoe@example.com]}}}}}}
  - id: polite
    name: "Höflich: #1"
    base_model_id: gpt
    owner: zoe@example.com
    params: {{temperature: 1.0e-07, seed: 1, system: "Echo $${{HOME}}.\\n  Line: two\\n", stop: ["2024-01-01", "null"]}}
    meta:
      description: "yes"
      hidden: true
      tags: [{{name: Ω}}]
      profile_image_url: {PICTURE}
      unknown: {{a: [[1, 2.0, null], []]}}
    is_active: false
    access_control:
      read: {{user_ids: [boss@example.com], group_ids: [people]}}
      write: {{group_ids: [Forschung 🦉]}}
"""


def modelyard(
    data_dir: Path, *arguments: str, stdin: str | None = None, code: int = 0, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """One command on this data directory; its exit code must be `code`."""
    done = run(data_dir, *arguments, stdin=stdin, **environment)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run(
    data_dir: Path, *arguments: str, stdin: str | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "modelyard", *arguments, "--data-dir", str(data_dir)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**kept, **environment},
        cwd=data_dir.parent,
    )


def applied(data_dir: Path, text: str, *arguments: str, code: int = 0, **environment: str) -> str:
    """`modelyard apply` of this text; everything it has printed."""
    done = modelyard(data_dir, "apply", "-", "--yes", *arguments, stdin=text, code=code, **environment)
    return done.stdout + done.stderr


def exported(data_dir: Path, **environment: str) -> str:
    """`modelyard export`."""
    return modelyard(data_dir, "export", **environment).stdout
