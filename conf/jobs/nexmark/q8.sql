-- Nexmark 8. People who opened an auction in the window of 10 seconds in which they came.
CREATE TABLE nexmark (event_type int4, person jsonb, auction jsonb, bid jsonb, ts timestamptz)
    WITH (connector = 'kafka', topic = 'nexmark', format = 'json', event_time = 'ts', lateness = '4 s');

CREATE VIEW person AS
    SELECT (person ->> 'id')::int8 AS id, person ->> 'name' AS name, person ->> 'emailAddress' AS email_address,
        person ->> 'creditCard' AS credit_card, person ->> 'city' AS city, person ->> 'state' AS state,
        ts AS date_time, person ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 0;

CREATE VIEW auction AS
    SELECT (auction ->> 'id')::int8 AS id, auction ->> 'itemName' AS item_name, auction ->> 'description' AS description,
        (auction ->> 'initialBid')::int8 AS initial_bid, (auction ->> 'reserve')::int8 AS reserve, ts AS date_time,
        (auction ->> 'expires')::timestamptz AS expires, (auction ->> 'seller')::int8 AS seller,
        (auction ->> 'category')::int8 AS category, auction ->> 'extra' AS extra
    FROM nexmark WHERE event_type = 1;

CREATE MATERIALIZED VIEW q8 AS
    SELECT p.id, p.name, p.window_start AS start_time
    FROM (
        SELECT id, name, window_start, window_end
        FROM tumble(person, date_time, INTERVAL '10 s')
        GROUP BY id, name, window_start, window_end
    ) AS p
    JOIN (
        SELECT seller, window_start, window_end
        FROM tumble(auction, date_time, INTERVAL '10 s')
        GROUP BY seller, window_start, window_end
    ) AS a
    ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;
