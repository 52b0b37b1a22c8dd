-- Every spelling that the contract of a query names.
SET on_error = 'quarantine';
SET on_error = null_is_text;
SET timezone = 'Europe/Berlin';
SET max_batch_records = 200000;
SET TIME ZONE 'UTC';
SET a.b = off;
SET visible = part;

CREATE TABLE t (
  id int8,
  user_id integer NOT NULL,
  "userId" text,
  amount numeric(10, 2) DEFAULT 0.00,
  price decimal,
  ratio real, exact double precision, flag boolean DEFAULT true, small smallint,
  name varchar(20), code char(3), tags text[], grid int4[][], payload jsonb, raw bytea, u uuid,
  at_day date, at_time time, ts timestamptz(3) NOT NULL, local timestamp without time zone, span interval, span2 interval day to second(3),
  day date GENERATED ALWAYS AS ((ts AT TIME ZONE 'UTC')::date) STORED,
  PRIMARY KEY (id, user_id)
) WITH (connector = 'kafka', topic = 'events', format = 'json', key_format = text, mode = 'upsert', event_time = 'ts', lateness = '10 s', version = 'id', partitions = 4, verbose);

CREATE TABLE ad_views (view_time timestamptz, ad_id text PRIMARY KEY) WITH (connector = 'kafka', topic = 'ad-events', format = 'avro', event_time = 'view_time', lateness = '1 min');
CREATE TABLE c (at timestamptz) WITH (connector = 'console');
CREATE TABLE no_columns () WITH (connector = 'kafka', topic = 'x', format = 'avro');
CREATE VIEW recent AS SELECT * FROM t WHERE ts > now() - interval '1 day';
CREATE VIEW named (a, b) AS SELECT id, user_id FROM t;
CREATE MATERIALIZED VIEW v WITH (emit = 'final', early = '5 s', late = 'late_rows', ttl = '1 d', max_state = '1 GiB') AS
  SELECT window_start, window_end, count(*) AS n FROM tumble(t, ts, interval '1 minute') GROUP BY window_start, window_end;
CREATE MATERIALIZED VIEW w AS SELECT count(*) FROM t;
INSERT INTO c SELECT ts FROM t;
INSERT INTO c (at) SELECT max(ts) FROM t GROUP BY user_id;
INSERT INTO c WITH x AS (SELECT ts FROM t) SELECT ts FROM x;

SELECT * FROM tumble(t, ts, '1 min', origin => timestamp '2020-01-01 00:00:30') AS w;
SELECT * FROM hop(t, ts, interval '10 s', interval '1 minute');
SELECT window_start, max(amount) FROM cumulate(t, ts, '1 hour', '1 day', origin => timestamptz '2020-01-01T00:00:00Z') GROUP BY window_start;
SELECT user_id, window_start, window_end, count(*) FROM session(t, ts, interval '30 min', user_id) GROUP BY 1, 2, 3;
SELECT tumble(ts, interval '5 minutes') AS start, count(*) FROM t GROUP BY tumble(ts, interval '5 minutes');
SELECT date_trunc('month', ts, 'Europe/Berlin') AS month, sum(amount) FROM t GROUP BY 1;
SELECT source_topic, source_partition, source_offset, record_key, record_time, record_headers FROM t;
SELECT first_value(amount), last_value(amount) FROM t GROUP BY user_id;
SELECT * FROM t WHERE ts BETWEEN now() - interval '1 hour' AND now();
SELECT * FROM t a LEFT JOIN ad_views v ON a.name = v.ad_id AND v.view_time BETWEEN a.ts - interval '1 min' AND a.ts;
SELECT * FROM t a WHERE NOT EXISTS (SELECT 1 FROM ad_views v WHERE v.ad_id = a.name);
SELECT DISTINCT ON (id) * FROM t ORDER BY id, ts DESC;
SELECT amount FROM (SELECT user_id, amount, row_number() OVER (PARTITION BY user_id ORDER BY amount DESC, ts) AS place FROM t) ranked WHERE place <= 3;
SELECT name COLLATE "C" FROM t;
SELECT random() FROM t;
SELECT now(), CURRENT_TIMESTAMP, CURRENT_DATE, LOCALTIMESTAMP, LOCALTIME FROM t;
