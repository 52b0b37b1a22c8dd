-- What each account has: what came in less what went out. Whoever looks, at any moment, finds that all accounts together have 0.
CREATE TABLE transfers (id int8, from_account text NOT NULL, to_account text NOT NULL, amount numeric(14, 2) NOT NULL)
    WITH (connector = 'kafka', topic = 'transfers', format = 'json');

CREATE VIEW credits AS SELECT to_account AS account, sum(amount) AS amount FROM transfers GROUP BY to_account;
CREATE VIEW debits AS SELECT from_account AS account, sum(amount) AS amount FROM transfers GROUP BY from_account;

CREATE MATERIALIZED VIEW balance AS
    SELECT account, sum(amount) AS amount
    FROM (
        SELECT coalesce(c.account, d.account) AS account, coalesce(c.amount, 0) - coalesce(d.amount, 0) AS amount
        FROM credits AS c FULL JOIN debits AS d ON c.account = d.account
    ) AS moved
    GROUP BY account;
