/** What can be done to models from their list. Each act tells what it did and, where it can, offers to take it back. */
import type { QueryClient } from "@tanstack/svelte-query";
import { address } from "$app/place";
import { api, body, type Schemas } from "$api/client";
import { refresh } from "$api/refresh";
import { isPublic, type Grant } from "$parts/access";
import { copyText } from "$parts/clipboard";
import { saveJson, saveText } from "$parts/download";
import { failed, said, undoable } from "$parts/notify";
import { models as text } from "$text/models";
import { fileName, tagNames, type Picked, type Row, type Subject } from "./subject";

export type Bulk = Schemas["Bulk"];
export type ItemResult = Schemas["ItemResult"];

/** The most that `bulk` and `export` take in one request. */
const BULK_IDS = 1000;
export const EXPORT_IDS = 100;

export class ModelActs {
  readonly #queries: QueryClient;

  constructor(queries: QueryClient) {
    this.#queries = queries;
  }

  /** Everything that shows models is asked for again. */
  async changed(): Promise<void> {
    await refresh(this.#queries, "model");
  }

  /** Runs an act; what goes wrong is told, and false comes back. */
  async tried(act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      failed(error);
      return false;
    } finally {
      await this.changed();
    }
  }

  async setActive(model: Subject, active: boolean): Promise<void> {
    await this.tried(async () => {
      if (model.row) {
        await api.POST("/api/v1/models/model/toggle", { params: { query: { id: model.rowId, is_active: active } } });
      } else {
        // Without a row a base model is the administrators' alone; the row changes nothing else.
        const form = { id: model.id, name: model.name, is_active: active, access_control: {} };
        await api.POST("/api/v1/models/create", { body: { ...form, meta: {}, params: {} } });
      }
    });
  }

  async setHidden(model: Subject, hidden: boolean): Promise<void> {
    const set = (value: boolean) =>
      this.tried(async () => {
        if (model.row) {
          const action = value ? "hide" : "show";
          const [result] = (
            await body(api.POST("/api/v1/models/bulk", { body: { ids: [model.rowId], action, tags: [] } }))
          ).results;
          if (result?.status === "failed") throw new Error(result.detail ?? "");
        } else {
          const form = { id: model.id, name: model.name, access_control: {}, is_active: true };
          await api.POST("/api/v1/models/create", { body: { ...form, meta: { hidden: value }, params: {} } });
        }
      });
    if (!(await set(hidden))) return;
    const message = hidden ? text.said.hidden(model.name) : text.said.shown(model.name);
    if (model.row) undoable(message, async () => void (await set(!hidden)));
    else said(message);
  }

  async remove(model: Subject): Promise<void> {
    const id = model.rowId;
    if (!(await this.tried(() => api.POST("/api/v1/models/model/delete", { body: { id } })))) return;
    undoable((model.isBase ? text.said.reset : text.said.deleted)(model.name), async () => {
      const done = await this.tried(() => api.POST("/api/v1/models/model/restore", { body: { id } }));
      if (done) said(text.said.restored(model.name));
    });
  }

  /** Opens it to those, and copies the link for them; `before` is what Undo goes back to. */
  async share(model: Subject, grants: readonly Grant[], before: readonly Grant[]): Promise<boolean> {
    const id = model.rowId;
    const form = { id, name: model.name, access_grants: [...grants] };
    if (!(await this.tried(() => api.POST("/api/v1/models/model/access/update", { body: form })))) return false;
    const message = isPublic(grants) ? text.said.shared : grants.length ? text.said.sharedWith : text.said.closed;
    const copied = grants.length > 0 && (await copyText(linkTo(model.id)));
    undoable(message(copied), () => this.#setGrants([{ id, access_grants: before }]));
    return true;
  }

  async copyLink(model: Subject): Promise<void> {
    if (await copyText(linkTo(model.id))) said(text.said.linkCopied);
    else failed(new Error(text.said.copyRefused));
  }

  async export(model: Subject): Promise<void> {
    const query = { id: model.rowId };
    await this.#saved(async () => {
      // An export holds presets; the row of a base model is read by itself.
      const rows = model.isBase
        ? [await body(api.GET("/api/v1/models/model", { params: { query } }))]
        : await body(api.GET("/api/v1/models/export", { params: { query: { ids: [query.id] } } }));
      saveJson(fileName(model.id, `-${Date.now()}.json`), rows);
    });
  }

  async exportModelfile(model: Subject): Promise<void> {
    const query = { id: model.rowId };
    await this.#saved(async () => {
      const file = await body(api.GET("/api/v1/models/model/modelfile", { params: { query }, parseAs: "text" }));
      saveText(fileName(model.id, ".Modelfile"), file as string, "text/plain");
    });
  }

  /** These, or all that the person may change. */
  async exportMany(ids: readonly string[] | null): Promise<void> {
    await this.#saved(async () => {
      let rows: Row[] = [];
      if (ids === null) rows = await body(api.GET("/api/v1/models/export"));
      for (const part of parts(ids ?? [], EXPORT_IDS)) {
        rows = rows.concat(await body(api.GET("/api/v1/models/export", { params: { query: { ids: part } } })));
      }
      saveJson(`models-export-${Date.now()}.json`, rows);
      said(text.said.exported(rows.length));
    });
  }

  async load(model: Subject): Promise<void> {
    const done = await this.tried(() => api.POST("/api/models/load", { body: { model: model.id } }));
    if (done) said(text.said.loading(model.name));
  }

  async unload(model: Subject): Promise<void> {
    const done = await this.tried(() => api.POST("/api/models/unload", { body: { model: model.id } }));
    if (done) said(text.said.unloaded(model.name));
  }

  /** One act on many. Answers with what came of each, in the order of `rows`; null when nothing was done at all. */
  async bulk(
    rows: readonly Picked[],
    action: Bulk["action"],
    { done = text.bulk.done[action], ...more }: BulkOptions = {},
  ): Promise<ItemResult[] | null> {
    const results: ItemResult[] = [];
    const batches: string[] = [];
    const send = async (ids: readonly string[], form: Omit<Bulk, "ids">, told: ItemResult[]) => {
      for (const part of parts(ids, BULK_IDS)) {
        const answer = await body(api.POST("/api/v1/models/bulk", { body: { ...form, ids: part } }));
        told.push(...answer.results);
        if (answer.batch_id) batches.push(answer.batch_id);
      }
    };
    const ids = rows.map((row) => row.id);
    const whole = await this.tried(() => send(ids, { tags: [], ...more, action }, results));
    if (!results.length) return null;
    const good = new Set(results.filter((result) => result.status !== "failed").map((result) => result.id));
    const changed = rows.filter((row) => good.has(row.id));
    if (changed.length) {
      const back = undoing(changed, action, more.tags ?? []);
      undoable(done(text.bulk.models(changed.length)), async () => {
        const told: ItemResult[] = [];
        const complete = await this.tried(async () => {
          for (const batch of batches) await api.POST("/api/v1/models/model/restore", { body: { batch_id: batch } });
          for (const step of back.steps) await send(step.ids, { action: step.action, tags: step.tags }, told);
          await restoreGrants(back.grants);
        });
        const left = new Set(told.filter((result) => result.status === "failed").map((result) => result.id)).size;
        if (left) failed(new Error(text.bulk.undoFailed(left)));
        else if (complete) said(text.said.undone);
      });
    }
    if (!whole) results.push(...rows.slice(results.length).map((row, index) => unsent(row, results.length + index)));
    return [...results];
  }

  async #setGrants(rows: Back["grants"]): Promise<void> {
    if (await this.tried(() => restoreGrants(rows))) said(text.said.undone);
  }

  async #saved(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      failed(error);
    }
  }
}

interface BulkOptions extends Partial<Bulk> {
  /** What is said of so many models once it is done. */
  done?: (models: string) => string;
}

interface Back {
  steps: { ids: string[]; action: Bulk["action"]; tags: string[] }[];
  grants: readonly { id: string; access_grants: readonly Grant[] }[];
}

/** What takes an act back on those rows alone that it changed. */
export function undoing(rows: readonly Picked[], action: Bulk["action"], tags: readonly string[]): Back {
  const step = (opposite: Bulk["action"], touched: readonly Picked[], names: string[] = []) =>
    touched.length ? [{ ids: touched.map((row) => row.id), action: opposite, tags: names }] : [];
  const has = (row: Picked, tag: string) => taggedWith(row).has(tag.trim().toLowerCase());
  switch (action) {
    case "enable":
      return {
        steps: step(
          "disable",
          rows.filter((row) => !row.is_active),
        ),
        grants: [],
      };
    case "disable":
      return {
        steps: step(
          "enable",
          rows.filter((row) => row.is_active),
        ),
        grants: [],
      };
    case "hide":
      return {
        steps: step(
          "show",
          rows.filter((row) => row.meta.hidden !== true),
        ),
        grants: [],
      };
    case "show":
      return {
        steps: step(
          "hide",
          rows.filter((row) => row.meta.hidden === true),
        ),
        grants: [],
      };
    case "tag":
      return {
        steps: tags.flatMap((tag) =>
          step(
            "untag",
            rows.filter((row) => !has(row, tag)),
            [tag],
          ),
        ),
        grants: [],
      };
    case "untag":
      return {
        steps: tags.flatMap((tag) =>
          step(
            "tag",
            rows.filter((row) => has(row, tag)),
            [tag],
          ),
        ),
        grants: [],
      };
    case "share":
      return { steps: [], grants: rows.filter((row) => !isPublic(row.access_grants)) };
    case "delete":
      return { steps: [], grants: [] };
  }
}

function taggedWith(row: Picked): Set<string> {
  return new Set(tagNames(row.meta).map((tag) => tag.toLowerCase()));
}

async function restoreGrants(rows: Back["grants"]): Promise<void> {
  for (const { id, access_grants } of rows) {
    await api.POST("/api/v1/models/model/access/update", { body: { id, access_grants: [...access_grants] } });
  }
}

function unsent(row: Picked, place: number): ItemResult {
  return { place, id: row.id, status: "failed", detail: null };
}

function linkTo(id: string): string {
  return `${address}/playground?model=${encodeURIComponent(id)}`;
}

function* parts<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
