/** What people call a field of a document, by the noun of its object: `params.top_k` of a model is "Top K". */
import { fieldName as modelField } from "$pages/editor/field-names";
import { audit } from "$text/audit";
import { connections } from "$text/connections";
import { yard } from "$text/yard";

const of = connections.fields;
const sections = connections.sections;
const names: Record<string, Record<string, string>> = {
  ...yard.fields,
  connection: {
    name: of.name,
    kind: of.kind,
    flavour: of.kind,
    base_url: of.address,
    api_keys: of.keys,
    enable: of.enabled,
    connection_type: of.place,
    loads: of.loads,
    prefix_id: of.prefix,
    model_ids: of.modelIds,
    tags: of.tags,
    priority: of.priority,
    weight: of.weight,
    headers: sections.headers,
    "limits.rpm": of.rpm,
    "limits.tpm": of.tpm,
    "limits.concurrency": of.concurrency,
    "timeouts.connect": `${sections.timeouts}: ${of.connect}`,
    "timeouts.first_byte": `${sections.timeouts}: ${of.firstByte}`,
    "timeouts.idle": `${sections.timeouts}: ${of.idle}`,
    "tls.verify": of.verify,
    "tls.ca_file": of.caFile,
    "tls.client_cert": of.clientCert,
  },
};

/** Its path for what has no name here. */
export function nameOf(noun: string, field: string, object: string): string {
  if (noun === "model") return field === "owner" ? yard.fields.model.owner : modelField(field);
  // A setting is one value, called as it is in the log.
  if (noun === "setting") return own(audit.settings, object) ?? field;
  return own(names[noun] ?? {}, field) ?? field;
}

/** A field may be called anything, `toString` too. */
const own = (words: Record<string, string>, name: string): string | undefined =>
  Object.hasOwn(words, name) ? words[name] : undefined;
