alter table message add column trace text;
