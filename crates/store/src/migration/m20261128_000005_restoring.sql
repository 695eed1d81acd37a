alter table installation add column restored_at {time};
