"""Analyse a table with pandas in a session, and save the figure that matplotlib draws."""

import asyncio

from agb import AsyncAGB, CreateSessionParams

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
TABLE = """\
month,fruit,sold
1,apples,30
1,pears,12
2,apples,42
2,pears,9
3,apples,51
3,pears,15
"""
CODE = """
import matplotlib.pyplot as plt
import pandas as pd

sold = pd.read_csv("sold.csv").pivot(index="month", columns="fruit", values="sold")
sold.plot.bar(rot=0, ylabel="sold", figsize=(5, 3))
plt.tight_layout()
plt.show()
sold.sum().to_dict()
"""


async def main() -> None:
    async with AsyncAGB() as client, client.session(PARAMS) as session:
        (await session.file.write("sold.csv", TABLE)).raise_for_error()
        run = (await session.code.run(CODE, "python")).raise_for_error()
        print(run.result)
        for result in run.results:
            if result.png:
                print(result.save("sold.png").name)


asyncio.run(main())
