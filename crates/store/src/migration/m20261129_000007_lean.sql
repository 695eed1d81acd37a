-- All locks first, in the order of the transactions that are under way: one that comes between is waited for before an
-- index is built, and not met after it.
lock table workspace, account, line, contact, conversation, "case", message, suppression in access exclusive mode;

-- Opt-outs are looked up by contact: their own key begins with the line, so that all were read for each batch.
create index suppression_contact on suppression (contact_id);

-- One index finds a text by the provider's id and keeps it unique, where two did.
create unique index message_provider on message (provider_sid, account_id);
alter table message drop constraint message_account_id_provider_sid_key;
drop index message_sid;

-- Few texts have a cause: the others need no place in its index.
create unique index message_cause on message (cause_id) where cause_id is not null;
alter table message drop constraint message_cause_id_key;

-- A text's and a case's contact and line are those of its conversation, which refers to them, and a line refers to its
-- account and workspace, which it never changes: each of these was looked up and locked again with every row.
alter table message drop constraint message_account_id_fkey;
alter table message drop constraint message_line_id_fkey;
alter table message drop constraint message_contact_id_fkey;
alter table "case" drop constraint case_workspace_id_fkey;
alter table "case" drop constraint case_line_id_fkey;
alter table "case" drop constraint case_contact_id_fkey;
