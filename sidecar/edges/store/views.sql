CREATE VIEW trail AS
SELECT id, strftime('%Y-%m-%d %H:%M:%S', at, 'unixepoch', 'localtime') AS time, session, action, actor,
  COALESCE(json_extract(detail, '$.by.alertname'), json_extract(detail, '$.by.address'),
    json_extract(detail, '$.by.signal'), '') AS asked_by,
  reason, trace, detail
FROM audit WHERE json_valid(detail);
CREATE VIEW incident_story AS
SELECT i.id AS incident, a.id AS record, strftime('%Y-%m-%d %H:%M:%f', a.at, 'unixepoch', 'localtime') AS time,
  round(a.at - i.first_sign, 3) AS seconds, i.session, a.action, a.actor, a.reason,
  COALESCE(json_extract(a.detail, '$.words'), json_extract(a.detail, '$.verdict'),
    json_extract(a.detail, '$.sentence'), json_extract(a.detail, '$.evidence[0].fact'), '') AS words
FROM incidents i JOIN audit a ON a.trace = i.trace
WHERE json_valid(a.detail);
CREATE VIEW recovery_summary AS
SELECT id, incident, strftime('%Y-%m-%d %H:%M:%S', begun, 'unixepoch', 'localtime') AS time, session, failure, cause,
  strategy, asker, state, round(duration, 3) AS ran, round(time_to_recovery, 3) AS time_to_recovery, verdict
FROM recoveries;
