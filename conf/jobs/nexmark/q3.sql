-- Nexmark 3. Who sells in one category in three states: people joined with their auctions, both kept for ever.
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

CREATE MATERIALIZED VIEW q3 AS
    SELECT p.name, p.city, p.state, a.id
    FROM auction AS a JOIN person AS p ON a.seller = p.id
    WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA');
