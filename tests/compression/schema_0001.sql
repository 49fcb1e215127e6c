-- A database of schema 0001 with a row in every table. Never edit: it stands for what people have on disk.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE checkpoint (
	run_id VARCHAR(10) NOT NULL, 
	step INTEGER NOT NULL, 
	file VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_checkpoint PRIMARY KEY (run_id, step), 
	CONSTRAINT fk_checkpoint_run FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "checkpoint" VALUES('mwq4wkm8bq',0,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
CREATE TABLE device_revision (
	device VARCHAR(64) NOT NULL, 
	revision BIGINT NOT NULL, 
	CONSTRAINT pk_device_revision PRIMARY KEY (device)
);
INSERT INTO "device_revision" VALUES('cam1',1795249004);
CREATE TABLE event (
	run_id VARCHAR(10) NOT NULL, 
	seq INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	data JSON NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY (run_id, seq), 
	CONSTRAINT fk_event_run FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "event" VALUES('mwq4wkm8bq',1,1.79525113407951402658e+09,'state','{"state": "queued", "reason": ""}');
INSERT INTO "event" VALUES('mwq4wkm8bq',2,1.79525113408156442636e+09,'state','{"state": "running", "reason": ""}');
INSERT INTO "event" VALUES('mwq4wkm8bq',3,1795249003.5,'log','{"text": "hello", "level": "info"}');
INSERT INTO "event" VALUES('mwq4wkm8bq',4,1.79525113466474556915e+09,'state','{"state": "failed", "reason": "no space left"}');
CREATE TABLE measurement (
	run_id VARCHAR(10) NOT NULL, 
	variant VARCHAR(100) NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	value DOUBLE NOT NULL, 
	unit VARCHAR(20) NOT NULL, 
	higher_is_better BOOLEAN NOT NULL, 
	n INTEGER NOT NULL, 
	spread DOUBLE NOT NULL, 
	machine TEXT NOT NULL, 
	CONSTRAINT pk_measurement PRIMARY KEY (run_id, variant, position), 
	CONSTRAINT fk_measurement_variant FOREIGN KEY(run_id, variant) REFERENCES variant (run_id, name) ON DELETE CASCADE
);
INSERT INTO "measurement" VALUES('mwq4wkm8bq','0-train',0,'accuracy',0.9,'',1,360,0.0,'');
INSERT INTO "measurement" VALUES('mwq4wkm8bq','0-train',1,'latency_p50_ms',3.00000000000000044408e-01,'ms',0,1,0.01,'x');
CREATE TABLE run (
	id VARCHAR(10) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	recipe_yaml TEXT NOT NULL, 
	recipe_hash VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	created_at DOUBLE NOT NULL, 
	started_at DOUBLE, 
	finished_at DOUBLE, 
	heartbeat_at DOUBLE, 
	progress DOUBLE NOT NULL, 
	activity TEXT NOT NULL, 
	error TEXT NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	worker VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_run PRIMARY KEY (id)
);
INSERT INTO "run" VALUES('mwq4wkm8bq','lenet5-digits','version: 1
name: lenet5-digits
model:
  name: lenet5
data:
  name: digits
steps:
- kind: train
  epochs: 1.0
- kind: quantize
','79897c907ea9f0b53d80644317d6f4bb07b7740170180159cd45a5c5110fb9f6','failed',1.79525113407323861115e+09,1.79525113408086752896e+09,1.79525113465911293026e+09,1.79525113408086752896e+09,0.0,'','no space left',0,'host:1');
CREATE TABLE variant (
	run_id VARCHAR(10) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	step INTEGER NOT NULL, 
	step_kind VARCHAR(50) NOT NULL, 
	numeric_kind VARCHAR(16) NOT NULL, 
	artifact VARCHAR(64), 
	CONSTRAINT pk_variant PRIMARY KEY (run_id, name), 
	CONSTRAINT fk_variant_run FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "variant" VALUES('mwq4wkm8bq','0-train',0,'train','float32',NULL);
CREATE INDEX ix_run_state_id ON run (state, id);
CREATE INDEX ix_event_run_id_kind_seq ON event (run_id, kind, seq);
COMMIT;
