"""The papers' controllers: the LSTM, its policies, REINFORCE, NASNet's PPO and ENAS."""
