/** What stands before the page where only who signs in may use the server. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useApp } from "../../app";
import { Icon } from "../Icon";
import { PasswordForm, RegisterForm, SignInForm } from "./forms";

export function DoorScreen(): JSX.Element {
  const { account } = useApp();
  const isRegistering = useSignal(false);
  const mustChange = account.door.value === "change-password";
  const mayRegister = account.session.value?.registration !== "closed";
  return (
    <main class="door">
      <div class="door-panel">
        <p class="brand">
          <Icon name="mark" />
          <span>Penstock</span>
        </p>
        {mustChange ? (
          <>
            <h1>Choose a password of your own</h1>
            <p class="quiet">Yours was made by somebody else. Nothing else works before it is changed.</p>
            <PasswordForm />
            <button type="button" class="button plain" onClick={() => void account.signOut()}>
              Sign out
            </button>
          </>
        ) : (
          <>
            <h1>{isRegistering.value ? "Make an account" : "Sign in"}</h1>
            {isRegistering.value ? <RegisterForm /> : <SignInForm />}
            {mayRegister && (
              <button
                type="button"
                class="button plain"
                onClick={() => (isRegistering.value = !isRegistering.value)}
              >
                {isRegistering.value ? "I have an account" : "Make an account"}
              </button>
            )}
          </>
        )}
      </div>
    </main>
  );
}
