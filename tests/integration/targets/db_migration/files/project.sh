#!/bin/sh
# A project of Alembic whose revisions can go down, cannot, and stop in the middle.
set -e
cd /var/www/lastgood-alembic
printf '#!/bin/sh\nPYTHONPATH=/var/www/lastgood-alembic/packages exec python3 -m alembic "$@"\n' > alembic
chmod 0755 alembic
echo 'DATABASE_URL=mysql+pymysql://lastgood_alembic:s3cret@127.0.0.1/lastgood_alembic' > .env
chmod 0600 .env
./alembic init --template generic migrations > /dev/null
cat > migrations/env.py <<'END'
import pathlib
import sqlalchemy
from alembic import context

url = pathlib.Path(__file__).parents[1].joinpath(".env").read_text().partition("=")[2].strip()
with sqlalchemy.create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
END
revision() {
    cat > "migrations/versions/$1.py" << END
import sqlalchemy as sa
from alembic import op

revision: str = "$1"
down_revision: str | None = $2


def upgrade() -> None:
    $3


def downgrade() -> None:
    $4
END
}
revision first None 'op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True))' 'op.drop_table("users")'
revision second '"first"' 'op.add_column("users", sa.Column("nick", sa.String(9)))' 'pass'
revision third '"second"' 'op.add_column("users", sa.Column("zip", sa.Integer())); op.add_column("users", sa.Column("age", sa.Integer()))' \
    'op.drop_column("users", "age"); op.drop_column("users", "zipp")'
revision fourth '"third"' 'op.create_table("orders", sa.Column("id", sa.Integer(), primary_key=True))' 'op.drop_table("orders")'
./alembic upgrade head 2> /dev/null
