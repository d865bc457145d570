"""Controllers: agents that design a network decision by decision, as the papers do.

The LSTM of NAS, NASNet and ENAS (`lstm`, `settings`, `steps`) as a policy of Stable-Baselines3
(`lstm_policy`), other policies for nas_gym's observations (`policies`, `choice_policy`), and the
papers' algorithms: `reinforce`, `nasnet_ppo`, `enas` and `tunas`. `shared_weights` lets any agent
be ENAS's controller. Import classes from these modules: each loads only what it needs.
"""
