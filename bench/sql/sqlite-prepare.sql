-- What the limit has beforehand, and casewire has not: everybody's contact and conversation.
insert into contact (id, workspace_id, address, name, email, created_at)
    with recursive person (n) as (select 0 union all select n + 1 from person where n + 1 < {senders})
    select cast(unhex(printf('%012x', unixepoch('subsec') * 1000)) || randomblob(10) as blob), workspace.id, '+1206' || (2000000 + n), '', '', strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')
    from workspace, person;
insert into conversation (id, line_id, key, contact_id)
    select cast(unhex(printf('%012x', unixepoch('subsec') * 1000)) || randomblob(10) as blob), line.id, contact.address, contact.id from contact, line where line.webhook_id = 'main';
create temporary table text (id blob, key text, sid text, body text, at text, case_id blob, conversation_id blob,
    contact_id blob);
create temporary table opened (case_id blob, answer_id blob, conversation_id blob, contact_id blob, cause_id blob,
    subject text);
