"""LitServe with dynamic batching: `python serve_litserve.py PORT`, in the environment of litserve.txt."""

import sys

import litserve
import numpy as np
from network import BATCH, WAIT_S, Network, square_of


class Fracture(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.network = Network()

    def decode_request(self, request) -> np.ndarray:
        return square_of(request["content"].file.read())

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.network.probabilities(x)

    def unbatch(self, output: np.ndarray) -> list[float]:
        return output.tolist()

    def encode_response(self, output: float) -> dict[str, float]:
        return {"probability": float(output)}


if __name__ == "__main__":
    server = litserve.LitServer(
        Fracture(max_batch_size=BATCH, batch_timeout=WAIT_S), accelerator="cpu", workers_per_device=1
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
