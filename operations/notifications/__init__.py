"""Notifications to subscribers, by webhook and e-mail.

`outbox` stores deliveries in the transaction of the change they report; `delivery` sends those that are due, with
retries until they arrive or are given up. The row is the record, so a task that runs twice, late or not at all is
harmless.
"""
