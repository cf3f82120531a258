"""A batch on the workers of a dask cluster: each worker uses many sessions at a time."""

from distributed import Client, LocalCluster

from agb import AGB, CreateSessionParams, Session

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


def square(session: Session, number: int) -> int:
    """Compute a square in a session."""
    return int(session.command.execute(f"expr {number} '*' {number}", check=True).stdout)


def main() -> None:
    """Start two workers on this machine; `Client("tcp://scheduler:8786")` connects to a cluster that runs already."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as dask,
        AGB() as client,
        client.map(
            square, range(1, 7), params=PARAMS, concurrency=4, executor=dask.get_executor(), chunks=2
        ) as outcomes,
    ):
        print(sorted(outcome.unwrap() for outcome in outcomes))


if __name__ == "__main__":
    main()
