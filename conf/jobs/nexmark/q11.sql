-- Nexmark 11. How many bids each bidder makes before pausing for 10 seconds.
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE VIEW bid AS
    SELECT (bid ->> 'auction')::int8 AS auction, (bid ->> 'bidder')::int8 AS bidder, (bid ->> 'price')::int8 AS price,
        bid ->> 'channel' AS channel, bid ->> 'url' AS url, ts AS date_time, bid ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 2;

CREATE MATERIALIZED VIEW q11 AS
    SELECT bidder, count(*) AS bid_count, window_start AS start_time, window_end AS end_time
    FROM session(bid, date_time, INTERVAL '10 s', bidder)
    GROUP BY bidder, window_start, window_end;
