-- A catalog as the first schema had it: two revisions of a.md, one of b/c d.md, a deleted document, a waiting job.
BEGIN TRANSACTION;
CREATE TABLE answers (
	answer_id VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	release_id VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	record JSON NOT NULL, 
	prompt JSON NOT NULL, 
	PRIMARY KEY (answer_id)
);
INSERT INTO "answers" VALUES('a-1','2026-11-22 03:04:42.709435','r-1',1,'{"collection": "default", "text": "Four bar."}','{}');
CREATE TABLE chunks (
	chunk_id VARCHAR NOT NULL, 
	input TEXT NOT NULL, 
	PRIMARY KEY (chunk_id)
);
INSERT INTO "chunks" VALUES('0854d6f1ca532e917be985ce912b6829','Valves
# Valves

The inlet valve opens at four bar.

The outlet valve is checked each week.');
INSERT INTO "chunks" VALUES('969658db1eb8190a80e178e9219e736f','Überdruck: 9 bar.');
INSERT INTO "chunks" VALUES('5af759e8f830c5e65d2a3b47e205f256','Valves
# Valves

The inlet valve opens at five bar.

The outlet valve is checked each week.');
INSERT INTO "chunks" VALUES('894dc5c1d5e08f9c83ffc891712ae8d3','Nobody needs this.');
CREATE TABLE documents (
	document_id VARCHAR NOT NULL, 
	collection VARCHAR NOT NULL, 
	uri VARCHAR NOT NULL, 
	metadata JSON NOT NULL, 
	PRIMARY KEY (document_id), 
	UNIQUE (collection, uri)
);
INSERT INTO "documents" VALUES('d-bb961ccfcfda6bdda038','default','a.md','{"team": "pumps"}');
INSERT INTO "documents" VALUES('d-a40b409ab376fd821b81','other','b/c d.md','{"team": "pumps"}');
INSERT INTO "documents" VALUES('d-4c3fcdaf52eb26213743','default','gone.md','{"team": "pumps"}');
CREATE TABLE jobs (
	number INTEGER NOT NULL, 
	job_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	payload JSON NOT NULL, 
	done INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	outcomes JSON NOT NULL, 
	problems JSON NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	PRIMARY KEY (number), 
	UNIQUE (job_id)
);
INSERT INTO "jobs" VALUES(1,'j-1614e74106144e3091d0','ingest','done','{"uploads": [{"collection": "default", "uri": "a.md", "name": "a.md", "content_hash": "f2158cbd1dd83e22d227f2600642d5a7a5103df2f408e06f34d3ea60f1126f27", "size_bytes": 84, "metadata": {"team": "pumps"}}]}',1,1,'[{"document_id": "d-bb961ccfcfda6bdda038", "uri": "a.md", "version": 1, "state": "indexed", "problem": null}]','[]',0,'2026-11-22 03:04:42.474355','2026-11-22 03:04:42.487384','2026-11-22 03:04:42.525316');
INSERT INTO "jobs" VALUES(2,'j-09ccf568ed924313809e','ingest','done','{"uploads": [{"collection": "other", "uri": "b/c d.md", "name": "b/c d.md", "content_hash": "969658db1eb8190a80e178e9219e736f8a92e0c6ee038aa64686d649e6572ba4", "size_bytes": 18, "metadata": {"team": "pumps"}}]}',1,1,'[{"document_id": "d-a40b409ab376fd821b81", "uri": "b/c d.md", "version": 1, "state": "indexed", "problem": null}]','[]',0,'2026-11-22 03:04:42.538746','2026-11-22 03:04:42.541679','2026-11-22 03:04:42.565809');
INSERT INTO "jobs" VALUES(3,'j-7878c35de0f647e89bff','ingest','done','{"uploads": [{"collection": "default", "uri": "a.md", "name": "a.md", "content_hash": "e6e8ad2a0868c77d0dc6c8766c3b747c3b2ee48ff582aa8bb42cb42dfb6d5e02", "size_bytes": 84, "metadata": {"team": "pumps"}}]}',1,1,'[{"document_id": "d-bb961ccfcfda6bdda038", "uri": "a.md", "version": 2, "state": "indexed", "problem": null}]','[]',0,'2026-11-22 03:04:42.581069','2026-11-22 03:04:42.589795','2026-11-22 03:04:42.621637');
INSERT INTO "jobs" VALUES(4,'j-8ed5854cf5104c0ba0a8','ingest','done','{"uploads": [{"collection": "default", "uri": "gone.md", "name": "gone.md", "content_hash": "894dc5c1d5e08f9c83ffc891712ae8d3ad44abd73124dcb83089d261da3284d0", "size_bytes": 18, "metadata": {"team": "pumps"}}]}',1,1,'[{"document_id": "d-4c3fcdaf52eb26213743", "uri": "gone.md", "version": 1, "state": "indexed", "problem": null}]','[]',0,'2026-11-22 03:04:42.637098','2026-11-22 03:04:42.645797','2026-11-22 03:04:42.675676');
INSERT INTO "jobs" VALUES(5,'j-55b72cb7c1ce485bb870','ingest','queued','{"uploads": [{"collection": "default", "uri": "later.md", "name": "later.md", "content_hash": "feded5d11a23de7440e450ccf30ebf50556af815d7dabaec8c3d4f174e3a32e0", "size_bytes": 34, "metadata": null}]}',0,1,'[]','[]',0,'2026-11-22 03:04:42.701100',NULL,NULL);
CREATE TABLE migrations (
	number INTEGER NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "migrations" VALUES(1);
CREATE TABLE occurrences (
	occurrence_id INTEGER NOT NULL, 
	chunk_id VARCHAR NOT NULL, 
	document_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	collection VARCHAR NOT NULL, 
	ordinal INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	"end" INTEGER NOT NULL, 
	page INTEGER, 
	heading JSON NOT NULL, 
	added_in INTEGER NOT NULL, 
	removed_in INTEGER, 
	PRIMARY KEY (occurrence_id), 
	FOREIGN KEY(document_id, version) REFERENCES versions (document_id, version), 
	FOREIGN KEY(chunk_id) REFERENCES chunks (chunk_id)
);
INSERT INTO "occurrences" VALUES(1,'0854d6f1ca532e917be985ce912b6829','d-bb961ccfcfda6bdda038',1,'default',0,0,84,NULL,'["Valves"]',1,3);
INSERT INTO "occurrences" VALUES(2,'969658db1eb8190a80e178e9219e736f','d-a40b409ab376fd821b81',1,'other',0,0,17,NULL,'[]',2,NULL);
INSERT INTO "occurrences" VALUES(3,'5af759e8f830c5e65d2a3b47e205f256','d-bb961ccfcfda6bdda038',2,'default',0,0,84,NULL,'["Valves"]',3,NULL);
INSERT INTO "occurrences" VALUES(4,'894dc5c1d5e08f9c83ffc891712ae8d3','d-4c3fcdaf52eb26213743',1,'default',0,0,18,NULL,'[]',4,5);
CREATE TABLE releases (
	release_id VARCHAR NOT NULL, 
	content JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (release_id)
);
CREATE TABLE revisions (
	revision INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	cause VARCHAR NOT NULL, 
	added INTEGER NOT NULL, 
	removed INTEGER NOT NULL, 
	PRIMARY KEY (revision)
);
INSERT INTO "revisions" VALUES(1,'2026-11-22 03:04:42.514120','ingest default/a.md',1,0);
INSERT INTO "revisions" VALUES(2,'2026-11-22 03:04:42.554126','ingest other/b/c d.md',1,0);
INSERT INTO "revisions" VALUES(3,'2026-11-22 03:04:42.607421','ingest default/a.md',1,1);
INSERT INTO "revisions" VALUES(4,'2026-11-22 03:04:42.662428','ingest default/gone.md',1,0);
INSERT INTO "revisions" VALUES(5,'2026-11-22 03:04:42.688553','delete default/gone.md',0,1);
CREATE TABLE spaces (
	space_id VARCHAR NOT NULL, 
	description JSON NOT NULL, 
	PRIMARY KEY (space_id)
);
INSERT INTO "spaces" VALUES('7a3c82f8073f347a','{"model": "hash", "fingerprint": "words-sha256-1", "dimension": 8, "normalised": true, "query_prefix": "", "document_prefix": ""}');
CREATE TABLE vectors (
	chunk_id VARCHAR NOT NULL, 
	space_id VARCHAR NOT NULL, 
	vector BLOB NOT NULL, 
	PRIMARY KEY (chunk_id, space_id), 
	FOREIGN KEY(chunk_id) REFERENCES chunks (chunk_id), 
	FOREIGN KEY(space_id) REFERENCES spaces (space_id)
);
INSERT INTO "vectors" VALUES('0854d6f1ca532e917be985ce912b6829','7a3c82f8073f347a',X'00000000000000009084C13E6C23113F6C2311BF9084C1BE9084413E908441BE');
INSERT INTO "vectors" VALUES('969658db1eb8190a80e178e9219e736f','7a3c82f8073f347a',X'3ACD133F00000000000000003ACD133F3ACD13BF000000000000000000000000');
INSERT INTO "vectors" VALUES('5af759e8f830c5e65d2a3b47e205f256','7a3c82f8073f347a',X'0000000000000000549DAF3EFFB5033F549D2FBF549DAFBE00000000549D2FBE');
INSERT INTO "vectors" VALUES('894dc5c1d5e08f9c83ffc891712ae8d3','7a3c82f8073f347a',X'000000000000000000000000000000003ACD13BF3ACD133F000000003ACD133F');
CREATE TABLE versions (
	document_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	content_hash VARCHAR NOT NULL, 
	prepared_with VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	media_type VARCHAR NOT NULL, 
	text TEXT NOT NULL, 
	pages INTEGER NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	added_in INTEGER NOT NULL, 
	removed_in INTEGER, 
	PRIMARY KEY (document_id, version), 
	FOREIGN KEY(document_id) REFERENCES documents (document_id)
);
INSERT INTO "versions" VALUES('d-bb961ccfcfda6bdda038',1,'f2158cbd1dd83e22d227f2600642d5a7a5103df2f408e06f34d3ea60f1126f27','f115f907ab3bbf74','Valves','text/markdown','# Valves

The inlet valve opens at four bar.

The outlet valve is checked each week.',0,84,'2026-11-22 03:04:42.505387',1,3);
INSERT INTO "versions" VALUES('d-a40b409ab376fd821b81',1,'969658db1eb8190a80e178e9219e736f8a92e0c6ee038aa64686d649e6572ba4','f115f907ab3bbf74','c d','text/markdown','Überdruck: 9 bar.',0,18,'2026-11-22 03:04:42.548421',2,NULL);
INSERT INTO "versions" VALUES('d-bb961ccfcfda6bdda038',2,'e6e8ad2a0868c77d0dc6c8766c3b747c3b2ee48ff582aa8bb42cb42dfb6d5e02','f115f907ab3bbf74','Valves','text/markdown','# Valves

The inlet valve opens at five bar.

The outlet valve is checked each week.',0,84,'2026-11-22 03:04:42.606097',3,NULL);
INSERT INTO "versions" VALUES('d-4c3fcdaf52eb26213743',1,'894dc5c1d5e08f9c83ffc891712ae8d3ad44abd73124dcb83089d261da3284d0','f115f907ab3bbf74','gone','text/markdown','Nobody needs this.',0,18,'2026-11-22 03:04:42.656694',4,5);
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE INDEX versions_content_hash ON versions (content_hash);
CREATE INDEX occurrences_chunk ON occurrences (chunk_id);
CREATE INDEX occurrences_added ON occurrences (added_in);
CREATE INDEX occurrences_document ON occurrences (document_id);
CREATE INDEX occurrences_removed ON occurrences (removed_in);
COMMIT;
