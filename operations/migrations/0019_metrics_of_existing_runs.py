from django.db import migrations

METRICS = (
    "total_return", "cagr", "sharpe", "sortino", "calmar", "psr", "dsr", "max_drawdown", "volatility", "exposure",
    "turnover", "trades", "win_rate", "profit_factor",
)
NUMBER = "CASE WHEN jsonb_typeof({0}) = 'number' AND abs(({0})::numeric) < 1e300 THEN ({0})::float8 END"


def number(*path: str) -> str:
    """Return the SQL of a number in the result, or NULL for anything else."""
    return NUMBER.format(f"result #> '{{{','.join(path)}}}'")


COLUMNS = {
    **{name: f"CASE operation_type WHEN 'backtesting' THEN {number('metrics', name)} END" for name in METRICS},
    "excess_return": f"CASE operation_type WHEN 'backtesting' THEN"
    f" {number('metrics', 'total_return')} - {number('benchmark', 'total_return')} END",
    "validation_score": f"CASE operation_type WHEN 'training' THEN"
    f" coalesce({number('metrics', 'validation', 'accuracy')}, {number('metrics', 'validation', 'r2')}) END",
    "test_score": f"CASE operation_type WHEN 'training' THEN"
    f" coalesce({number('metrics', 'test', 'accuracy')}, {number('metrics', 'test', 'r2')}) END",
    "validation_loss": f"CASE operation_type WHEN 'training' THEN {number('metrics', 'validation', 'loss')} END",
}
# Curves and the values of strategies are left out: they need files and the parser. Tables show these runs without them.
FILL = f"""
INSERT INTO operations_runmetrics (operation_id, curve, settings, {', '.join(COLUMNS)})
SELECT operation_id, '{{}}', parameters - 'strategy_yaml', {', '.join(COLUMNS.values())}
FROM operations_operation WHERE status = 'COMPLETED' AND operation_type IN ('backtesting', 'training')
ON CONFLICT (operation_id) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("operations", "0018_run_metrics")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
