-- Nexmark 13. Bids with a text that is looked up in a side table: keys 0 to 9999 with their values, made once by
-- sqlite3 side_input.db "CREATE TABLE side_input (key INTEGER PRIMARY KEY, value TEXT NOT NULL);
--     INSERT INTO side_input SELECT value, value FROM generate_series(0, 9999);"
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE TABLE side_input (key int8 PRIMARY KEY, value text NOT NULL)
    WITH (connector = 'sqlite', url = 'sqlite:side_input.db', table = 'side_input', mode = 'lookup');

CREATE VIEW bid AS
    SELECT (bid ->> 'auction')::int8 AS auction, (bid ->> 'bidder')::int8 AS bidder, (bid ->> 'price')::int8 AS price,
        bid ->> 'channel' AS channel, bid ->> 'url' AS url, ts AS date_time, bid ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 2;

CREATE MATERIALIZED VIEW q13 AS
    SELECT b.auction, b.bidder, b.price, b.date_time, s.value
    FROM bid AS b JOIN side_input AS s ON mod(b.auction, 10000) = s.key;
