-- Conversations are looked up and locked by the senders' addresses, many at once and on several lines: the unique key, which
-- begins with the line, would be read from end to end for that. `conversation_contact` is for the version before only.
create index conversation_key on conversation (key);
