"""Who wants to know is told: webhooks and e-mail.

`announce` notes deliveries in the transaction of what they are about; `chores` sends what is due, again and again until
it arrives or is given up. The row is the record: a chore that runs twice, late or not at all does no harm.
"""
