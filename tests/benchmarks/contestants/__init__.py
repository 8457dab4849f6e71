"""One training, written in several ways, to be read side by side.

Each file has ``train(network, job)``, which trains the network in place and returns the precision it computed in. What
is the same for all (folder, batch size, learning rate …) are attributes of the job, see `tests.benchmarks.loop`.
"""
